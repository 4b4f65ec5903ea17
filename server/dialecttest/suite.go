package dialecttest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Suite is what a dialect says of itself: its routes, and what its page documents of errors.
// Outcomes are HTTP statuses unless Outcome says otherwise; one that is zero has the usual status.
type Suite struct {
	Routes []Route
	// RoutesOf returns more routes, where they name what the catalog holds; nil: there are none.
	RoutesOf func(h *Harness) []Route
	Access   func(h *Harness) []Access
	Unknown  string // a path under the dialect's prefix that is no route

	// Outcome reads an answer's outcome where it is not the status. Success is 200 or 201.
	Outcome func(Response) int
	// Envelope returns what is wrong with the form of an answer to an error.
	Envelope func(Response) error

	Unauthenticated int
	Missing         int // no credential at all; the default is Unauthenticated
	NotFound        int
	NoMethod        int
	TooLarge        int
	Unsupported     int   // a Content-Encoding
	Rejected        []int // a body or a value that cannot be taken
	Internal        int
	Unavailable     int
	Overloaded      int
	BOM             bool // a byte order mark in front of a body is passed over
	Empty           int  // of an empty object, where that is a request with nothing in it
}

// Route is one route of a dialect.
type Route struct {
	Name  string
	Kinds []schema.CredentialKind // that are let in
	// Superadmin says that nobody else is: the route is asked with a superadmin's credentials.
	Superadmin bool
	// Request asks with a credential about what belongs to an organization. Without a credential
	// it leaves out what carries one.
	Request func(s Secret, of *Organization) Request
	Want    int // the outcome of an organization's own request
	Foreign int // of one about the other organization; zero: Want, with nothing of the other's

	// Body returns a body with a quantity as it stands in JSON, and a text of the client's where
	// there is one; where bodies carry a key, a new one each time. Nil: the route does not write.
	Body func(quantity, text string) string
	// Segment puts a text of the client's choice, escaped already, into the path; nil: no
	// parameter is there.
	Segment func(s Secret, segment string) Request
	Refused []int // outcomes of a segment that is none of the API's

	Memory bool     // answers from the catalog in memory: without a database as with one
	Also   []string // other methods of the same path that are routes
}

// Access is a row of the access rules.
type Access struct {
	Who     string
	Request Request
	Want    int
	Shows   []string // texts the answer has
	Hides   []string // texts it has not
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// Run runs the suite on a harness of its own and returns it, for more of the dialect's own tests.
func Run(t *testing.T, s Suite) {
	setDefault(&s.Unauthenticated, http.StatusUnauthorized)
	setDefault(&s.Missing, s.Unauthenticated)
	setDefault(&s.NotFound, http.StatusNotFound)
	setDefault(&s.NoMethod, http.StatusMethodNotAllowed)
	setDefault(&s.TooLarge, http.StatusRequestEntityTooLarge)
	setDefault(&s.Unsupported, http.StatusUnsupportedMediaType)
	setDefault(&s.Internal, http.StatusInternalServerError)
	setDefault(&s.Unavailable, http.StatusServiceUnavailable)
	setDefault(&s.Overloaded, http.StatusTooManyRequests)
	if s.Outcome == nil {
		s.Outcome = func(r Response) int { return r.Status }
	}
	r := &runner{Suite: s, h: New(t)}
	if s.RoutesOf != nil {
		r.Routes = append(slices.Clone(s.Routes), s.RoutesOf(r.h)...)
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Routes", r.routes},
		{"Credentials", r.credentials},
		{"Access", r.access},
		{"Neighbours", r.neighbours},
		{"Segments", r.segments},
		{"Bodies", r.bodies},
		{"Quantities", r.quantities},
		{"Encodings", r.encodings},
		{"Sizes", r.sizes},
		{"Headers", r.headers},
		{"Smuggling", r.smuggling},
		{"Framing", r.framing},
		{"Disconnects", r.disconnects},
		{"SlowSender", r.slowSender},
		{"Overload", r.overload},
		{"Failures", r.failures},
		{"Panics", r.panics},
		{"Secrets", r.secrets}, // last: of all that was sent before
	} {
		t.Run(part.name, part.run)
	}
}

// runner runs one dialect's suite.
type runner struct {
	Suite
	h *Harness
}

// bodyMark is in every body that has room for a text: it may be in no log.
const bodyMark = "body-mark-5d1e"

// secret returns a credential of an organization that the route lets in.
func (route Route) secret(o *Organization, kind schema.CredentialKind) Secret {
	if route.Superadmin {
		return o.Superadmin.Secret(kind)
	}
	return o.Secret(kind)
}

// own is an organization's own good request.
func (r *runner) own(route Route) Request {
	request := route.Request(route.secret(r.h.Acme, route.Kinds[0]), r.h.Acme)
	if route.Body != nil {
		request.Body = route.Body("7", bodyMark)
	}
	return request
}

// ok reports whether an outcome is a success.
func ok(outcome int) bool { return outcome == http.StatusOK || outcome == http.StatusCreated }

// expect checks an answer's outcome, and the form of it when it is an error's.
func (r *runner) expect(t *testing.T, what string, got Response, want ...int) {
	t.Helper()
	outcome := r.Outcome(got)
	if !slices.Contains(want, outcome) {
		t.Errorf("%s: outcome %d, want %v: %v", what, outcome, want, got)
	}
	if got.Status >= http.StatusInternalServerError && !slices.Contains(want, outcome) {
		t.Errorf("%s: a client's mistake was answered with %v", what, got)
	}
	if !ok(outcome) {
		if err := r.Envelope(got); err != nil {
			t.Errorf("%s: %v: %v", what, err, got)
		}
	}
}

// unchanged runs f and fails the test when it added anything to the ledger.
func (r *runner) unchanged(t *testing.T, f func()) {
	t.Helper()
	accepted, rows := r.h.Accepted(t), r.h.Rows(t)
	f()
	if now := r.h.Accepted(t); now != accepted {
		t.Errorf("%d events were accepted that should not", now-accepted)
	}
	if now := r.h.Rows(t); now != rows {
		t.Errorf("the ledger had %s rows, and has %s", rows, now)
	}
}

// writing returns the routes that write.
func (r *runner) writing() []Route {
	return slices.DeleteFunc(slices.Clone(r.Routes), func(r Route) bool { return r.Body == nil })
}

func (r *runner) routes(t *testing.T) {
	for _, route := range r.Routes {
		rows := r.h.Accepted(t)
		got := r.h.Do(t, r.own(route))
		r.expect(t, route.Name, got, route.Want)
		if added := r.h.Accepted(t) - rows; route.Body != nil && added != 1 {
			t.Errorf("%s: %d events were accepted, want 1", route.Name, added)
		}
		if route.Body == nil && !bytes.Contains(got.Body, []byte(r.h.Acme.Mark)) &&
			!bytes.Contains(got.Body, []byte(r.h.Acme.MembersAgent.ID.String())) {
			t.Errorf("%s: shows nothing of the caller's own: %v", route.Name, got)
		}
	}
	r.unchanged(t, func() {
		for _, route := range r.Routes {
			for _, method := range []string{"PATCH", "TRACE", "CONNECT", "FOO", "PROPFIND", "get"} {
				if slices.Contains(route.Also, method) {
					continue
				}
				request := r.own(route)
				request.Method = method
				got := r.h.Raw(t, method, request.Bytes(), lastRequest)
				if len(got) == 0 {
					t.Errorf("%s %s: no answer", method, route.Name)
					continue
				}
				r.expect(t, method+" "+route.Name, got[0], r.NoMethod)
				if got[0].Header.Get("Allow") == "" && got[0].Status == r.NoMethod {
					t.Errorf("%s %s: 405 without Allow", method, route.Name)
				}
			}
			request := r.own(route)
			path, query, _ := strings.Cut(request.Path, "?")
			request.Path = path + "/x/y/z/and/more?" + query
			r.expect(t, route.Name+" with more segments", r.h.Do(t, request), r.NotFound)
		}
		for _, method := range []string{"GET", "POST", "DELETE", "FOO"} {
			got := r.h.Raw(t, method, Request{Method: method, Path: r.Unknown}.Bytes(), lastRequest)
			if len(got) == 0 {
				t.Errorf("%s %s: no answer", method, r.Unknown)
				continue
			}
			r.expect(t, method+" "+r.Unknown, got[0], r.NotFound)
		}
	})
}

func (r *runner) credentials(t *testing.T) {
	r.unchanged(t, func() {
		for _, route := range r.Routes {
			body := r.own(route).Body
			do := func(what string, s Secret, want ...int) {
				t.Helper()
				request := route.Request(s, r.h.Acme)
				request.Body = body
				r.expect(t, route.Name+" with "+what, r.h.Do(t, request), want...)
			}
			do("none", Secret{Kind: route.Kinds[0]}, r.Missing)
			form := route.Request(Secret{Kind: route.Kinds[0]}, r.h.Acme).
				With("Content-Type", "multipart/form-data; boundary=x")
			form.Body = "a form is not even looked at"
			r.expect(t, route.Name+" with a form", r.h.Do(t, form), r.Missing)
			do("an unknown one", Secret{route.Kinds[0], uuid.NewString()}, r.Unauthenticated)
			do("a cut one", Secret{
				route.Kinds[0], route.secret(r.h.Acme, route.Kinds[0]).Text[:12],
			}, r.Unauthenticated)
			for _, kind := range kinds {
				former := r.h.Acme.Former.Secret(kind)
				if former.Text != "" {
					do("a former member's", former, r.Unauthenticated)
				}
				if !slices.Contains(route.Kinds, kind) {
					for _, as := range route.Kinds {
						do("another kind", Secret{as, r.h.Acme.Secret(kind).Text},
							r.Unauthenticated)
					}
				}
			}
		}
	})
	for _, route := range r.Routes {
		for _, kind := range route.Kinds {
			request := route.Request(route.secret(r.h.Acme, kind), r.h.Acme)
			request.Body = r.own(route).Body
			r.expect(t, route.Name, r.h.Do(t, request), route.Want)
		}
	}
}

func (r *runner) access(t *testing.T) {
	for _, row := range r.Access(r.h) {
		t.Run(row.Who, func(t *testing.T) {
			before := r.h.Accepted(t)
			got := r.h.Do(t, row.Request)
			r.expect(t, row.Who, got, row.Want)
			for _, text := range row.Shows {
				if !bytes.Contains(got.Body, []byte(text)) {
					t.Errorf("does not show %q: %v", text, got)
				}
			}
			for _, text := range row.Hides {
				if bytes.Contains(got.Body, []byte(text)) {
					t.Errorf("shows %q: %v", text, got)
				}
			}
			if !ok(r.Outcome(got)) && r.h.Accepted(t) != before {
				t.Error("was refused, and recorded")
			}
		})
	}
}

// neighbours walks every route with the other organization's credentials.
func (r *runner) neighbours(t *testing.T) {
	for _, pair := range [][2]*Organization{{r.h.Acme, r.h.Globex}, {r.h.Globex, r.h.Acme}} {
		own, other := pair[0], pair[1]
		for _, route := range r.Routes {
			want := route.Foreign
			setDefault(&want, route.Want)
			for _, kind := range route.Kinds {
				request := route.Request(route.secret(own, kind), other)
				if route.Body != nil {
					request.Body = route.Body("1", bodyMark)
				}
				got := r.h.Do(t, request)
				r.expect(t, route.Name, got, want)
				for _, mark := range other.marks() {
					asked := strings.Contains(request.Path+request.Body, mark)
					if bytes.Contains(got.Body, []byte(mark)) && !asked {
						t.Errorf("%s: shows %q of another organization: %v", route.Name, mark, got)
					}
				}
			}
		}
	}
	r.h.Flush(t)
	foreign := r.h.Database.Strings(`SELECT toString(event_id) FROM usage_events WHERE
		organization_id = {own:UUID} AND (agent_id IN ({one:UUID}, {two:UUID})
			OR user_id IN ({admin:UUID}, {member:UUID}))`, named(r.h.Globex, r.h.Acme)...)
	if len(foreign) > 0 {
		t.Errorf("events of one organization name another's agents or users: %v", foreign)
	}
}

// segments puts into the path what no id or name is.
func (r *runner) segments(t *testing.T) {
	hostile := []string{
		"%2e%2e", "..%2f..%2f..", "..", "%00", "a%00b", "%zz", "%", "%2", "%25%32%66", "%2F", "%2f%2f",
		"%5c", "%22", "'%20OR%201=1--", "%0d%0aX-Injected:%201", "%ff%fe", "%c0%af", "*", ":", "@",
		"{}", "%7b%7d", "00000000-0000-0000-0000-000000000000", "NaN", "-1", "null",
		"%F0%9F%92%A9", "a;b=c", strings.Repeat("a", 4000), strings.Repeat("%41", 2000),
	}
	r.unchanged(t, func() {
		for _, route := range r.Routes {
			if route.Segment == nil {
				continue
			}
			for _, segment := range hostile {
				request := route.Segment(route.secret(r.h.Acme, route.Kinds[0]), segment)
				got := r.h.Raw(t, request.Method, request.Bytes(), lastRequest)
				if len(got) != 2 || !isLast(got[1]) {
					t.Errorf("%s %.60s: %d answers: %v", route.Name, segment, len(got), got)
					continue
				}
				r.expect(t, route.Name+" "+segment[:min(len(segment), 60)], got[0], route.Refused...)
				if got[0].Header.Get("X-Injected") != "" {
					t.Errorf("%s: a header was injected", route.Name)
				}
			}
		}
	})
}

// secrets looks for what was sent so far in all that the server tells anyone but its clients.
func (r *runner) secrets(t *testing.T) {
	metrics := r.h.Do(t, Request{Method: "GET", Path: "/metrics"})
	if metrics.Status != http.StatusOK {
		t.Fatalf("metrics: %v", metrics)
	}
	hidden := append(r.h.Acme.secrets(), r.h.Globex.secrets()...)
	hidden = append(hidden, bodyMark, r.h.Database.Options.Auth.Password)
	for place, text := range map[string]string{
		"the log": r.h.Log.String(), "/metrics": string(metrics.Body),
	} {
		for _, secret := range hidden {
			if secret != "" && strings.Contains(text, secret) {
				t.Errorf("%s has %q", place, secret)
			}
		}
	}
	if log := r.h.Log.String(); strings.Contains(log, "panic") {
		t.Errorf("the log has a panic:\n%s", log)
	}
	if log := r.h.Log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the log has an error that was not the test's:\n%s", log)
	}
}

// endless is a body without an end.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func limited(n int64) io.Reader { return io.LimitReader(endless(" \n\t "), n) }
