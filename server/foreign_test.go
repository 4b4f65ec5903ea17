package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// call is a request about what belongs to an organization, without a credential. Somebody else's
// credential is put where a client would put it: into both headers in turn or, where the path or
// the body says {token}, there.
type call struct {
	path, body string
	answers    bool // with what is the caller's own: of the owner's there is nothing in it
	crosses    bool // its documentation gives a superadmin of any organization power over all
}

// TestForeignCredentials walks every route that is mounted with every credential of another
// organization's, and without any, and asks for what is the owner's: nothing of it comes back and
// nothing of it changes. A route that is not in calls fails the test: who adds one, says here how
// it could be used to reach somebody else's.
func TestForeignCredentials(t *testing.T) {
	h := dialecttest.New(t)
	w := &walker{Harness: h, owner: h.Acme, calls: calls(t, h)}
	w.strangers = append(h.Globex.Secrets(), tokens(t, h)...)
	for _, key := range []string{"-key", "-posted"} {
		h.Events(t, h.Acme, `{"id":"`+w.owner.Mark+key+`","usage":{"UNITS":1}}`)
	}
	for _, o := range []*dialecttest.Organization{h.Acme, h.Globex} {
		h.Events(t, o, fmt.Sprintf(`{"user_id":%q,"service":%q,"model":%q,"usage":{"INPUT":5}}`,
			o.Admin.ID, o.Service(), o.Model()))
	}
	known := make(map[string]bool)
	before := w.owned(t)
	for _, route := range mounted(t) {
		known[route.of()] = true
		t.Run(route.Method+" "+route.Path, func(t *testing.T) {
			w.walk(t, route)
			after := w.owned(t)
			if !slices.Equal(before, after) {
				t.Errorf("the owner's was changed:\n%s\n%s", before, after)
			}
			before = after
		})
	}
	for name := range w.calls {
		if !known[name] {
			t.Errorf("%s is no route", name)
		}
	}
}

// tokens are the JWTs that the other organization's users get for their app passwords.
func tokens(t *testing.T, h *dialecttest.Harness) []dialecttest.Secret {
	t.Helper()
	var all []dialecttest.Secret
	for _, u := range []dialecttest.User{h.Globex.Superadmin, h.Globex.Admin, h.Globex.Member} {
		got := h.Do(t, dialecttest.Request{
			Method: "POST", Path: "/api/auth/app-login", Body: `{"token":"` + u.AppPassword + `"}`,
		}.With("Content-Type", "application/json"))
		var answer struct{ AccessToken string }
		if err := json.Unmarshal(got.Body, &answer); err != nil || answer.AccessToken == "" {
			t.Fatal(got)
		}
		all = append(all, dialecttest.Secret{Text: answer.AccessToken})
	}
	return all
}

type route struct{ Method, Path string }

// of is the name of a route's calls: a HEAD is as dangerous as its GET.
func (r route) of() string {
	return strings.Replace(r.Method, "HEAD", "GET", 1) + " " + r.Path
}

func mounted(t *testing.T) []route {
	t.Helper()
	var all []route
	for _, r := range bareServer(t).App().GetRoutes(true) {
		all = append(all, route{r.Method, r.Path})
	}
	if len(all) < 20 {
		t.Fatalf("only %d routes: this test looks in the wrong place", len(all))
	}
	return all
}

// public are the routes that need no credential, because they show nobody's anything.
var public = []string{
	"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /docs", "GET /",
	"GET /assets/*", "GET /favicon.svg", "DELETE /console/session", // without a session
}

type walker struct {
	*dialecttest.Harness
	owner     *dialecttest.Organization
	calls     map[string][]call
	strangers []dialecttest.Secret // of the other organization's
}

func (w *walker) walk(t *testing.T, r route) {
	if r.Method == http.MethodOptions { // browsers ask without a credential
		path := strings.NewReplacer(":usage_id", w.owner.MembersRecord.String(),
			":user_id", w.owner.Member.ID.String(), "*", "t/"+w.owner.Tenant+"/Daily").Replace(r.Path)
		w.hidden(t, "", dialecttest.Request{Method: r.Method, Path: path}.
			With("Origin", "https://a.example", "Access-Control-Request-Method", "GET"))
		return
	}
	all, known := w.calls[r.of()]
	if isPublic := slices.Contains(public, r.of()); isPublic || !known {
		w.hidden(t, "", dialecttest.Request{Method: r.Method, Path: r.Path})
		if !isPublic {
			t.Error("is neither in calls nor public: can it be used to reach somebody else's?")
		}
		return
	}
	for i, c := range all {
		if i == 0 {
			w.anonymous(t, r, c)
		}
		for _, secret := range w.of(c, i) {
			for _, request := range w.placed(r.Method, c, secret.Text) {
				got := w.hidden(t, fmt.Sprintf("kind %d", secret.Kind), request)
				if !c.answers && !refused(request, got) {
					t.Errorf("%s %s with a foreign credential of kind %d: %v",
						request.Path, request.Body, secret.Kind, got)
				}
				if got.Status >= http.StatusInternalServerError {
					t.Errorf("%s: %v", request.Path, got)
				}
			}
		}
	}
}

// anonymous makes a call without a credential, and with some that never counted or do no more.
func (w *walker) anonymous(t *testing.T, r route, c call) {
	former := w.owner.Former
	for _, secret := range []string{
		"", uuid.NewString(), former.AccessToken, former.AppPassword, former.LoginToken,
	} {
		for _, request := range w.placed(r.Method, c, secret) {
			if got := w.hidden(t, "nobody", request); !refused(request, got) {
				t.Errorf("%s with %q: %v", request.Path, secret, got)
			}
		}
	}
}

// of returns the foreign credentials to make a route's call with: all there are with its first
// call; with others, one of each role.
func (w *walker) of(c call, position int) []dialecttest.Secret {
	o := w.Globex
	all := w.strangers
	if position > 0 && !strings.Contains(c.path+c.body, "{token}") {
		all = []dialecttest.Secret{
			o.Superadmin.Secret(schema.AppPassword), o.Admin.Secret(schema.AccessToken),
			all[len(all)-1], o.MembersAgent.Secret(), // the last is a member's JWT
		}
	}
	if !c.crosses {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), w.isSuperadmins)
}

// isSuperadmins reports whether a credential is the other organization's superadmin's. The first of
// its JWTs is.
func (w *walker) isSuperadmins(s dialecttest.Secret) bool {
	first := slices.IndexFunc(w.strangers, isJWT)
	return s == w.strangers[first] || !isJWT(s) && s == w.Globex.Superadmin.Secret(s.Kind)
}

func isJWT(s dialecttest.Secret) bool { return s.Kind == 0 }

// placed returns a call with a credential where clients put one; empty: without.
func (w *walker) placed(method string, c call, secret string) []dialecttest.Request {
	r := dialecttest.Request{
		Method: method, Path: strings.ReplaceAll(c.path, "{token}", secret),
		Body: strings.ReplaceAll(c.body, "{token}", secret),
	}
	if c.body != "" {
		r = r.With("Content-Type", "application/json")
	}
	if secret == "" || strings.Contains(c.path+c.body, "{token}") {
		return []dialecttest.Request{r}
	}
	return []dialecttest.Request{
		// The header that chooses an organization chooses none but one's own.
		r.With("Authorization", "Bearer "+secret, "X-Organization-ID", w.owner.ID.String()),
		r.With("Agent-Secret-Key", secret),
	}
}

// refused reports whether an answer is a no. Memori's is in the body; to a HEAD it says neither
// yes nor no.
func refused(r dialecttest.Request, got dialecttest.Response) bool {
	return got.Status >= http.StatusBadRequest || strings.HasPrefix(r.Path, "/api/v2/") &&
		(r.Method == http.MethodHead || bytes.Contains(got.Body, []byte(`"consumptionLogs":null`)))
}

// hidden sends a request and fails the test when there is more of the owner in the answer than was
// in the request.
func (w *walker) hidden(t *testing.T, who string, r dialecttest.Request) dialecttest.Response {
	t.Helper()
	got := w.Do(t, r)
	answer := fmt.Sprint(got.Header) + string(got.Body)
	if strings.HasPrefix(r.Path, "/v1/admin/services") ||
		strings.HasPrefix(r.Path, "/v1/admin/meters") ||
		strings.HasPrefix(r.Path, "/v1/admin/text_model_costs") {
		// Services, meters and prices are everybody's, whoever's name they have here.
		answer = strings.NewReplacer(w.owner.Service(), "", w.owner.Meter(), "",
			w.owner.Model(), "", w.owner.Embedding(), "").Replace(answer)
	}
	asked := r.Path + r.Body + strings.Join(r.Header, " ")
	for _, mark := range w.owner.Marks() {
		if strings.Contains(answer, mark) && !strings.Contains(asked, mark) {
			t.Errorf("%s, %s %s shows %q: %v", who, r.Method, r.Path, mark, got)
		}
	}
	return got
}

// owned is what the ledger and the catalog hold of the owner's, and what others have written about
// the owner's agents and users.
func (w *walker) owned(t *testing.T) []string {
	t.Helper()
	w.Flush(t)
	users := []string{
		w.owner.Superadmin.ID.String(), w.owner.Admin.ID.String(), w.owner.Member.ID.String(),
		w.owner.Former.ID.String(),
	}
	agents := []string{w.owner.MembersAgent.ID.String(), w.owner.AdminsAgent.ID.String()}
	named := []any{
		clickhouse.Named("id", w.owner.ID.String()), clickhouse.Named("users", users),
		clickhouse.Named("agents", agents),
	}
	var all []string
	for _, from := range []string{
		"usage_events WHERE organization_id = {id:UUID} OR toString(user_id) IN {users:Array(String)}" +
			" OR toString(agent_id) IN {agents:Array(String)}",
		"corrections WHERE organization_id = {id:UUID}",
		"organizations FINAL WHERE id = {id:UUID}",
		"users FINAL WHERE toString(id) IN {users:Array(String)}",
		"memberships FINAL WHERE organization_id = {id:UUID} OR" +
			" toString(user_id) IN {users:Array(String)}",
		"agents FINAL WHERE organization_id = {id:UUID} OR toString(owner_id) IN {users:Array(String)}" +
			" OR toString(id) IN {agents:Array(String)}",
		"credentials FINAL WHERE organization_id = {id:UUID} OR" +
			" toString(user_id) IN {users:Array(String)} OR toString(agent_id) IN {agents:Array(String)}",
		"services FINAL", "meters FINAL", "text_model_costs FINAL",
	} {
		name, _, _ := strings.Cut(from, " ")
		digest := w.Database.Strings("SELECT concat('"+name+" ', toString(count()), ' ', toString("+
			"groupBitXor(cityHash64(formatRow('TSV', *))))) FROM (SELECT * FROM "+from+")", named...)
		all = append(all, digest...)
	}
	return all
}
