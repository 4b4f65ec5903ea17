package native

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// desk stands for the Reader and the Corrector of one organization: it keeps revisions as they do,
// without a ledger.
type desk struct {
	dialect.Reader
	events map[uuid.UUID][]dialect.Revision
	asked  []dialect.CorrectParams
	fails  error
}

func (d *desk) EventHistory(_ context.Context, organization, id uuid.UUID,
) ([]dialect.Revision, error) {
	all := d.events[id]
	switch {
	case d.fails != nil:
		return nil, d.fails
	case len(all) == 0 || organization != acme:
		return nil, schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	return slices.Clone(all), nil
}

func (d *desk) Correct(_ context.Context, p dialect.CorrectParams) (dialect.Revision, error) {
	d.asked = append(d.asked, p)
	all := d.events[p.Event]
	if d.fails != nil {
		return dialect.Revision{}, d.fails
	}
	if len(all) == 0 || all[len(all)-1].Voided || p.Organization != acme {
		return dialect.Revision{}, schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	last := &all[len(all)-1]
	current := last.Event
	current.Measurements = slices.Clone(current.Measurements)
	next, err := p.Change(current)
	if err != nil {
		return dialect.Revision{}, err
	}
	last.Reversed = true
	if next == nil {
		last.Voided, last.VoidedAt = true, noon.Add(time.Hour)
		last.VoidedBy, last.VoidedReason = p.Actor, p.Reason
		return *last, nil
	}
	next.Revision++
	if err := catalog().Price(next); err != nil {
		return dialect.Revision{}, err
	}
	made := dialect.Revision{Event: *next, At: noon.Add(time.Minute), By: p.Actor, Reason: p.Reason}
	d.events[p.Event] = append(all, made)
	return made, nil
}

// newDesk has three events of acme's: "a" of the helper's and Ada's, "b/c" of Bob's, which was
// Ada's before, and "gone".
func newDesk(t testing.TB) *desk {
	d := &desk{events: map[uuid.UUID][]dialect.Revision{}}
	a := recorded(t)
	a.Revision = 0
	bobs, gone := a, a
	bobs.ID, bobs.Agent = schema.EventID(acme, "b/c"), uuid.Nil
	gone.ID = schema.EventID(acme, "gone")
	now := bobs
	now.User, now.Revision = bob, 1
	d.events[a.ID] = []dialect.Revision{{Event: a, At: noon}}
	d.events[bobs.ID] = []dialect.Revision{
		{Event: bobs, At: noon, Reversed: true}, {Event: now, At: noon, By: "user:ada", Reason: "his"},
	}
	d.events[gone.ID] = []dialect.Revision{{Event: gone, At: noon, Reversed: true, Voided: true,
		VoidedAt: noon.Add(time.Hour), VoidedBy: "user:ada", VoidedReason: "a test"}}
	return d
}

func (d *desk) serve(t testing.TB, r *http.Request) *http.Response {
	t.Helper()
	return send(t, serveDoor(dialect.Door{Reader: d, Corrector: d}), r)
}

func ask(method, path, body string, headers ...string) *http.Request {
	r := post("", body, headers...)
	asked := httptest.NewRequest(method, eventsPath+path, strings.NewReader(body))
	asked.Header = r.Header
	return asked
}

const asBob = "Authorization: Bearer app_a7_bob"

func TestEventExchanges(t *testing.T) {
	var out strings.Builder
	f := func(name string, r *http.Request) {
		t.Helper()
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		got := newDesk(t).serve(t, r)
		answer, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "== %s\n%s %s\n%s\n--\n%d\n", name, r.Method, r.URL.RequestURI(), body,
			got.StatusCode)
		for _, header := range []string{"Content-Type", "Etag"} {
			if v := got.Header.Get(header); v != "" {
				fmt.Fprintf(&out, "%s: %s\n", header, v)
			}
		}
		fmt.Fprintf(&out, "\n%s\n\n", answer)
	}
	f("an event", ask("GET", "/a", ""))
	f("its history", ask("GET", "/b%2Fc/history", ""))
	f("a member's history", ask("GET", "/b%2Fc/history", "", asBob))
	f("a voided one", ask("GET", "/gone", ""))
	f("a voided one's history", ask("GET", "/gone/history", ""))
	f("amended", ask("PATCH", "/a?reason=wrong%20model", `{"model":"n","usage":{"INPUT":null,"A":1}}`))
	f("amended with a cost", ask("PATCH", "/a", `{"cost_usd":"0.10"}`, `If-Match: "0"`))
	f("no longer so", ask("PATCH", "/b%2Fc", `{"model":"n"}`, `If-Match: "0"`))
	f("refused", ask("PATCH", "/a", `{"time":null}`))
	f("a member amends", ask("PATCH", "/b%2Fc", `{"model":"n"}`, asBob))
	f("voided", ask("DELETE", "/a?reason=twice", ""))
	f("voided before", ask("DELETE", "/gone", ""))
	f("unknown", ask("GET", "/nothing", ""))

	const golden = "testdata/events.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEventIDs(t *testing.T) {
	f := func(path string, want int) {
		t.Helper()
		if got := newDesk(t).serve(t, ask("GET", path, "")); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
	id := schema.EventID(acme, "a").String()
	f("/"+id, 200)
	f("/"+strings.ToUpper(id), 200)
	f("/"+id+"/", 200)
	f("/a", 200)
	f("/%61", 200)
	f("/b%2Fc", 200)
	f("/b%2fc/history", 200)
	f("/b/c", 404)
	f("/A", 404)
	f("/%00", 404)
	f("/%ff", 404)
	f("/"+strings.ReplaceAll(id, "-", ""), 404)
	f("/"+strings.Repeat("a", 201), 404)
	f("/"+uuid.Nil.String(), 404)
	f("/a?x=1", 400)
	f("/a/history?revision=1", 400)
}

// TestEventWhoseKeyIsAnotherEventsID: what is not the caller's does not hide what is.
func TestEventWhoseKeyIsAnotherEventsID(t *testing.T) {
	d := newDesk(t)
	adas := schema.EventID(acme, "a")
	bobs := recorded(t)
	bobs.User, bobs.ID = bob, schema.EventID(acme, adas.String())
	d.events[bobs.ID] = []dialect.Revision{{Event: bobs, At: noon}}
	for auth, want := range map[string]uuid.UUID{
		asBob: bobs.ID, "Authorization: Bearer ada-token": adas,
	} {
		var got struct{ ID uuid.UUID }
		answer := d.serve(t, ask("GET", "/"+adas.String(), "", auth))
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.ID != want {
			t.Errorf("%s: %d %s, want %s", auth, answer.StatusCode, got.ID, want)
		}
	}
}

func TestEventAccess(t *testing.T) {
	f := func(r *http.Request, want int) {
		t.Helper()
		d := newDesk(t)
		got := d.serve(t, r)
		if got.StatusCode != want || want >= 400 && want != 404 && len(d.asked) > 0 {
			t.Errorf("%s %s: %d after %d corrections, want %d", r.Method, r.URL, got.StatusCode,
				len(d.asked), want)
		}
	}
	const none, helpers, idles = "Authorization: ", "Agent-Secret-Key: helper-secret",
		"Agent-Secret-Key: idle-secret"
	for _, path := range []string{"/a", "/a/history"} {
		f(ask("GET", path, ""), 200)
		f(ask("GET", path, "", none), 401)
		f(ask("GET", path, "", asBob), 404)
		f(ask("GET", path, "", helpers), 200)
		f(ask("GET", path, "", idles), 404)
	}
	f(ask("GET", "/b%2Fc", "", asBob), 200)
	f(ask("GET", "/b%2Fc", "", helpers), 404) // its owner's, and not the agent's
	f(ask("PATCH", "/a", `{}`), 200)
	f(ask("DELETE", "/a", ``), 204)
	for _, method := range []string{"PATCH", "DELETE"} {
		f(ask(method, "/a", `{}`, none), 401)
		f(ask(method, "/a", `{}`, asBob), 403)
		f(ask(method, "/b%2Fc", `{}`, asBob), 403)
		f(ask(method, "/nothing", `{}`, asBob), 403)
		f(ask(method, "/a", `{}`, helpers), 403)
		f(ask(method, "/nothing", `{}`), 404)
		f(ask(method, "/gone", `{}`), 404)
	}
	f(ask("POST", "/a", `{}`), 405)
	f(ask("HEAD", "/a", ``), 405)
	f(ask("PATCH", "/a/history", `{}`), 405)
}

func TestCorrectionRequests(t *testing.T) {
	f := func(r *http.Request, want int) {
		t.Helper()
		if got := newDesk(t).serve(t, r); got.StatusCode != want {
			body, _ := io.ReadAll(got.Body)
			t.Errorf("%s %s %v: %d, want %d: %s", r.Method, r.URL, r.Header, got.StatusCode, want, body)
		}
	}
	change := func(query string, headers ...string) *http.Request {
		return ask("PATCH", "/a"+query, `{"model":"n"}`, headers...)
	}
	f(change(""), 200)
	f(change("", "Content-Type: "), 200)
	f(change("", "Content-Type: Application/Merge-Patch+JSON; charset=utf-8"), 200)
	f(change("", "Content-Type: application/json-patch+json"), 415)
	f(change("", "Content-Encoding: gzip"), 400)
	f(change("?reason="+strings.Repeat("%C3%A9", 256)), 200)
	f(change("?reason="+strings.Repeat("%C3%A9", 257)), 400)
	f(change("?reason=a%0Ab"), 400)
	f(change("?reason=%ff"), 400)
	f(change("?reason=a&reason=b"), 400)
	f(change("?reasn=a"), 400)
	f(change("", `If-Match: "0"`), 200)
	f(change("", `If-Match: *`), 200)
	f(change("", `If-Match: "7", "0"`), 200)
	f(change("", `If-Match: "1"`), 412)
	f(change("", `If-Match: W/"0"`), 412)
	f(change("", `If-Match: "x"`), 412)
	f(change("", `If-Match: "00"`), 412)
	f(change("", `If-Match: 0`), 400)
	f(change("", `If-Match: "0`), 400)
	f(change("", `If-Match: "0",`), 400)
	f(ask("DELETE", "/a", "", `If-Match: "1"`), 412)
	f(ask("DELETE", "/a", "", `If-Match: "0"`), 204)
	f(ask("DELETE", "/a?x", ""), 400)
	several := change("")
	several.Header["If-Match"] = []string{`"4"`, `"0"`}
	f(several, 200)
}

// TestCorrectionIsOnRecord: who, and why.
func TestCorrectionIsOnRecord(t *testing.T) {
	d := newDesk(t)
	for _, method := range []string{"PATCH", "DELETE"} {
		r := ask(method, "/a?reason=a%20typo", `{"model":"n"}`)
		if got := d.serve(t, r); got.StatusCode >= 300 {
			t.Fatal(got.StatusCode)
		}
	}
	caller, err := access.NewStatic(catalog()).Bearer("ada-token", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.asked {
		if p.Organization != acme || p.Event != schema.EventID(acme, "a") ||
			p.Actor != dialect.ActorOf(caller) || p.Reason != "a typo" {
			t.Errorf("%+v", p)
		}
	}
	if len(d.asked) != 2 {
		t.Errorf("%d corrections", len(d.asked))
	}
}

func TestEventFailures(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			d := newDesk(t)
			d.fails = err
			got := d.serve(t, ask(method, "/a", `{}`))
			body, _ := io.ReadAll(got.Body)
			if got.StatusCode != want || bytes.Contains(body, []byte("secret")) {
				t.Errorf("%s: %d, want %d: %s", method, got.StatusCode, want, body)
			}
		}
	}
	f(fmt.Errorf("secret: %w", io.ErrUnexpectedEOF), 500)
	f(&schema.Error{Kind: schema.Unavailable, Message: "try again"}, 503)
	f(schema.Errorf(schema.Conflict, "", "others were first"), 409)
}

func TestWaitStored(t *testing.T) {
	f := func(query string, l *ledger, wantWaited []uint64, want int, wantRetry string) {
		t.Helper()
		got := send(t, serve(l), post(query, smallEvent))
		if got.StatusCode != want || !slices.Equal(l.waited, wantWaited) ||
			got.Header.Get("Retry-After") != wantRetry {
			t.Errorf("%s: %d after waiting for %v, Retry-After %q", query, got.StatusCode, l.waited,
				got.Header.Get("Retry-After"))
		}
	}
	known := func([]schema.Event) (dialect.Receipt, error) {
		return dialect.Receipt{Duplicates: 1, Repeated: []int{0}, Sequence: 41}, nil
	}
	refused := func(events []schema.Event) (dialect.Receipt, error) {
		return dialect.Receipt{Rejected: []dialect.Rejection{
			{Index: 0, Err: schema.Errorf(schema.Invalid, "time", "is late")},
		}}, nil
	}
	f("", &ledger{}, nil, 201, "")
	f("?wait=stored", &ledger{}, []uint64{1}, 201, "")
	f("?wait=stored", &ledger{answer: known}, []uint64{41}, 201, "")
	f("?wait=stored", &ledger{answer: refused}, nil, 422, "")
	f("?wait=stored", &ledger{wait: context.DeadlineExceeded}, []uint64{1}, 503, "5")
}
