package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/console"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

type named struct{ ID, Name string }

// browser is a browser with a session, on one node.
type browser struct {
	*dialecttest.Node
	cookie  string // name=value
	Session struct {
		CSRF         string
		Organization named
		User, Agent  *named
		Role         string
		Billing      bool
		Version      string
		ExpiresAt    time.Time `json:"expires_at"`
	}
}

const (
	sessionPath = "/console/session"
	usagePath   = "/v1/usage/query?from=2026-01-01&to=2026-02-01&granularity=day"
	usageBody   = `{"from":"2026-01-01","to":"2026-02-01","granularity":"day"}`
)

func signInRequest(credential, organization string) dialecttest.Request {
	body, err := json.Marshal(map[string]string{
		"credential": credential, "organization_id": organization,
	})
	if err != nil {
		panic(err) // of strings: cannot be
	}
	return dialecttest.Request{Method: "POST", Path: sessionPath, Body: string(body)}.
		With("Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
}

func signIn(t *testing.T, n *dialecttest.Node, credential string) *browser {
	t.Helper()
	return signInFor(t, n, credential, "")
}

func signInFor(t *testing.T, n *dialecttest.Node, credential, organization string) *browser {
	t.Helper()
	got := n.Do(t, signInRequest(credential, organization))
	if got.Status != http.StatusOK {
		t.Fatalf("sign in: %v", got)
	}
	b := &browser{Node: n}
	b.cookie, _, _ = strings.Cut(got.Header.Get("Set-Cookie"), ";")
	if err := json.Unmarshal(got.Body, &b.Session); err != nil {
		t.Fatal(err)
	}
	return b
}

// asks sends a request as the page does.
func (b *browser) asks(
	t *testing.T, method, path, body string, header ...string,
) dialecttest.Response {
	t.Helper()
	r := dialecttest.Request{Method: method, Path: path, Body: body}.With("Cookie", b.cookie)
	if method != "GET" {
		r = r.With("X-CSRF-Token", b.Session.CSRF, "Sec-Fetch-Site", "same-origin",
			"Origin", b.URL(""), "Content-Type", "application/json")
	}
	return b.Do(t, r.With(header...))
}

// TestSessions attacks sessions from every side: with what does not count, as another site, from
// another node, later, and when the credential behind them changes.
//
// Seen failing with each of these taken out: the comparison of the session's end with the clock; of
// the credential's end with the session's; of the organization asked for with the credential's; the
// bound of the cookie's size; the look for an Agent-Secret-Key beside the cookie; the check of the origin.
func TestSessions(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	t.Run("every credential signs in", func(t *testing.T) { everyCredential(t, h) })
	t.Run("what does not count", func(t *testing.T) { doesNotCount(t, h) })
	t.Run("the cookie", func(t *testing.T) { theCookie(t, h) })
	t.Run("what others send", func(t *testing.T) { whatOthersSend(t, h) })
	t.Run("the header decides", func(t *testing.T) { headerDecides(t, h) })
	t.Run("the credential counts", func(t *testing.T) { credentialCounts(t, h) })
	t.Run("signing out", func(t *testing.T) { signingOut(t, h) })
	t.Run("nodes", func(t *testing.T) { otherNodes(t, h) })
	for _, secret := range h.Acme.Secrets() {
		if strings.Contains(h.Log.String(), secret.Text) {
			t.Errorf("a credential of kind %d is in the log", secret.Kind)
		}
	}
}

func everyCredential(t *testing.T, h *dialecttest.Harness) {
	o := h.Acme
	f := func(secret, role, user, agent string) {
		t.Helper()
		b := signIn(t, h.Node, secret)
		s := b.Session
		if s.Role != role || (s.User == nil) != (user == "") || (s.Agent == nil) != (agent == "") ||
			s.User != nil && s.User.ID != user || s.Agent != nil && s.Agent.ID != agent ||
			s.Organization.ID != o.ID.String() || s.Organization.Name == "" {
			t.Errorf("signed in as %+v", s)
		}
		if left := time.Until(s.ExpiresAt); left > console.SessionMax || left < console.SessionMax-time.Minute {
			t.Errorf("the session lasts %v", left)
		}
		again := b.asks(t, "GET", sessionPath, "")
		if again.Status != 200 || !strings.Contains(string(again.Body), s.CSRF) ||
			again.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("who is it: %v", again)
		}
		usage := b.asks(t, "GET", usagePath, "")
		if usage.Status != 200 || usage.Header.Get("Cache-Control") == "" {
			t.Errorf("usage: %v", usage)
		}
		posted := b.asks(t, "POST", "/v1/usage/query", usageBody)
		if posted.Status != 200 {
			t.Errorf("usage by POST: %v", posted)
		}
	}
	for role, u := range map[string]dialecttest.User{
		"superadmin": o.Superadmin, "admin": o.Admin, "member": o.Member,
	} {
		f(u.AccessToken, role, u.ID.String(), "")
		f(u.AppPassword, role, u.ID.String(), "")
		f(" "+u.LoginToken+"\n", role, u.ID.String(), "")
	}
	f(o.MembersAgent.Token, "agent", "", o.MembersAgent.ID.String())
	jwt := issue(t, h, o.Admin.AppPassword)
	b := signInFor(t, h.Node, jwt, o.ID.String())
	if left := time.Until(b.Session.ExpiresAt); left > 8*time.Hour { // as long as the token
		t.Errorf("the session of a token lasts %v", left)
	}
}

// issue returns a JWT for an app password.
func issue(t *testing.T, h *dialecttest.Harness, appPassword string) string {
	t.Helper()
	got := h.Do(t, dialecttest.Request{
		Method: "POST", Path: "/api/auth/app-login", Body: `{"token":"` + appPassword + `"}`,
	}.With("Content-Type", "application/json"))
	var answer struct{ AccessToken string }
	if err := json.Unmarshal(got.Body, &answer); err != nil || answer.AccessToken == "" {
		t.Fatal(got)
	}
	return answer.AccessToken
}

func doesNotCount(t *testing.T, h *dialecttest.Harness) {
	o := h.Acme
	n := h.Start(t, dialecttest.NodeConfig{})
	var told string
	for i, secret := range []string{
		uuid.NewString(), "x", "a.b.c", o.Former.AccessToken, o.Former.AppPassword,
		o.Former.LoginToken, issue(t, h, o.Admin.AppPassword) + "x", o.Member.ID.String(),
	} {
		got := n.Do(t, signInRequest(secret, ""))
		if got.Status != 401 || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d: %v", i, got)
		}
		if told = string(got.Body); !strings.Contains(told, `"unknown credential"`) {
			t.Errorf("%d is told: %v", i, got)
		}
		if strings.Contains(n.Log.String(), secret) && len(secret) > 8 {
			t.Errorf("%d is in the log", i)
		}
	}
	// Who is right is not counted, and whoever asks for another organization is not let in there.
	for range console.FailuresAtOnce {
		signIn(t, n, o.Member.AccessToken)
	}
	got := n.Do(t, signInRequest(o.Member.AccessToken, h.Globex.ID.String()))
	if got.Status != 403 || !strings.Contains(string(got.Body), "organization_id") {
		t.Errorf("another organization: %v", got)
	}
	got = n.Do(t, signInRequest(issue(t, h, o.Admin.AppPassword), h.Globex.ID.String()))
	if got.Status != 403 {
		t.Errorf("another organization by a token: %v", got)
	}
	if got := n.Do(t, signInRequest(strings.Repeat("x", 8<<10), "")); got.Status != 413 {
		t.Errorf("a large body: %v", got)
	}
	for range 2 { // eight were wrong above
		n.Do(t, signInRequest("wrong", ""))
	}
	got = n.Do(t, signInRequest(o.Member.AccessToken, "")) // the right one tells nothing either
	if got.Status != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("after ten failures: %v", got)
	}
	const times = console.FailuresAtOnce
	if got := signIns(t, n); got["ok"] != times || got["unknown"] != times || got["limited"] != 1 {
		t.Errorf("counted: %v", got)
	}
}

// signIns returns how many sign-ins a node has counted, by their result.
func signIns(t *testing.T, n *dialecttest.Node) map[string]float64 {
	t.Helper()
	families, err := n.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "meterhouse_console_signins_total" {
				all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

func theCookie(t *testing.T, h *dialecttest.Harness) {
	f := func(n *dialecttest.Node, name string, secure bool) {
		t.Helper()
		got := n.Do(t, signInRequest(h.Acme.Member.AccessToken, ""))
		answer := http.Response{Header: got.Header}
		all := answer.Cookies()
		if len(all) != 1 {
			t.Fatalf("cookies: %v", got.Header)
		}
		c := all[0]
		if c.Name != name || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode ||
			c.Path != "/" || c.Domain != "" || c.Secure != secure ||
			time.Until(c.Expires) > console.SessionMax {
			t.Errorf("cookie %v", c)
		}
		if strings.Contains(got.Header.Get("Set-Cookie"), h.Acme.Member.AccessToken) {
			t.Error("the cookie shows the credential")
		}
	}
	f(h.Node, "meterhouse_session", false)
	public := mustURL("https://meter.example")
	n := h.Start(t, dialecttest.NodeConfig{Console: console.Config{PublicURL: public}})
	f(n, "__Host-meterhouse_session", true)

	// Two sign-ins have nothing in common, and one with somebody's cookie is a session of its own.
	a, b := signIn(t, h.Node, h.Acme.Member.AccessToken), &browser{Node: h.Node}
	got := h.Do(t, signInRequest(h.Acme.Admin.AccessToken, "").With("Cookie", a.cookie))
	b.cookie, _, _ = strings.Cut(got.Header.Get("Set-Cookie"), ";")
	if err := json.Unmarshal(got.Body, &b.Session); err != nil || b.cookie == a.cookie ||
		b.Session.CSRF == a.Session.CSRF || b.Session.Role != "admin" {
		t.Errorf("a second session: %v", got)
	}
	b.Session.CSRF = a.Session.CSRF
	if got := b.asks(t, "POST", "/v1/usage/query", usageBody); got.Status != 403 {
		t.Errorf("with another session's token: %v", got)
	}
	long := strings.Repeat("x", 3000)
	h.Change(t, schema.Catalog{Credentials: []schema.Credential{{
		Hash: schema.HashSecret(long), Kind: schema.AccessToken, Organization: h.Acme.ID,
		User: h.Acme.Member.ID,
	}}}, schema.Catalog{})
	if got := h.Do(t, signInRequest(long, "")); got.Status != 422 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("a credential that fits into no cookie: %v", got)
	}
}

// whatOthersSend is what a page of another site can make a browser send.
func whatOthersSend(t *testing.T, h *dialecttest.Harness) {
	b := signIn(t, h.Node, h.Acme.Admin.AccessToken)
	event := `{"usage":{"UNITS":1}}`
	f := func(what string, header ...string) {
		t.Helper()
		r := dialecttest.Request{Method: "POST", Path: "/v1/events", Body: event}.
			With("Cookie", b.cookie).With(header...)
		if got := b.Do(t, r); got.Status != 403 {
			t.Errorf("%s: %v", what, got)
		}
	}
	json, token := []string{"Content-Type", "application/json"}, b.Session.CSRF
	before := h.Accepted(t)
	f("no token", json...)
	f("a form", "Content-Type", "text/plain", "Origin", "https://evil.example", "Sec-Fetch-Site",
		"cross-site")
	f("an empty token", "Content-Type", "application/json", "X-CSRF-Token", "")
	f("a wrong token", "Content-Type", "application/json", "X-CSRF-Token", token+"x")
	f("half a token", "Content-Type", "application/json", "X-CSRF-Token", token[:16])
	for _, site := range []string{"cross-site", "same-site", "none"} {
		f(site, "X-CSRF-Token", token, "Sec-Fetch-Site", site)
	}
	for _, origin := range []string{
		"https://evil.example", "null", "http://" + b.Address + ".evil.example", "http://127.0.0.1:1",
		"//" + b.Address + "@evil.example", "%",
	} {
		f("from "+origin, "X-CSRF-Token", token, "Origin", origin)
	}
	if after := h.Accepted(t); after != before {
		t.Errorf("%d events were accepted", after-before)
	}
	if got := b.asks(t, "POST", "/v1/events", event); got.Status >= 300 {
		t.Errorf("the page itself: %v", got)
	}
	// Nobody is signed in for somebody else, or signed out.
	in := signInRequest(h.Globex.Admin.AccessToken, "")
	for what, got := range map[string]dialecttest.Response{
		"sign in from another site": h.Do(t, dialecttest.Request{Method: "POST", Path: sessionPath,
			Body: in.Body}.With("Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")),
		"sign in from another origin": h.Do(t, dialecttest.Request{Method: "POST", Path: sessionPath,
			Body: in.Body}.With("Content-Type", "application/json", "Origin", "https://evil.example")),
		"sign out without a token": h.Do(t, dialecttest.Request{Method: "DELETE", Path: sessionPath}.
			With("Cookie", b.cookie)),
		"sign out from another site": h.Do(t, dialecttest.Request{Method: "DELETE", Path: sessionPath}.
			With("Sec-Fetch-Site", "cross-site")),
	} {
		if got.Status != 403 || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", what, got)
		}
	}
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
		r := dialecttest.Request{Method: "POST", Path: sessionPath, Body: in.Body}
		if media != "" {
			r = r.With("Content-Type", media)
		}
		if got := h.Do(t, r); got.Status != 415 {
			t.Errorf("sign in by %q: %v", media, got)
		}
	}
}

// headerDecides: a credential in a header is the only one that counts, a wrong one too.
func headerDecides(t *testing.T, h *dialecttest.Harness) {
	b := signIn(t, h.Node, h.Acme.Admin.AccessToken)
	record := "/v1/events/" + h.Acme.AdminsRecord.String()
	f := func(want int, header ...string) {
		t.Helper()
		if got := b.asks(t, "GET", record, "", header...); got.Status != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	f(200)
	f(404, "Authorization", "Bearer "+h.Globex.Admin.AccessToken)
	f(404, "Agent-Secret-Key", h.Globex.AdminsAgent.Token)
	f(401, "Authorization", "Bearer wrong")
	f(401, "Authorization", "Basic eDp5")
	f(401, "Authorization", "")
	f(401, "Agent-Secret-Key", "wrong")
	if got := h.Do(t, dialecttest.Request{Method: "GET", Path: "/V1/Events/" +
		h.Acme.AdminsRecord.String()}.With("Cookie", b.cookie)); got.Status != 200 {
		t.Errorf("in capitals: %v", got)
	}
}

// credentialCounts changes the credential behind a session.
func credentialCounts(t *testing.T, h *dialecttest.Harness) {
	user := schema.User{ID: uuid.New(), Name: "Eve"}
	member := schema.Membership{
		Organization: h.Acme.ID, User: user.ID, Role: schema.Admin, Active: true,
	}
	token := "dop_v1_" + uuid.NewString()
	k := schema.Credential{
		Hash: schema.HashSecret(token), Kind: schema.AccessToken, Organization: h.Acme.ID, User: user.ID,
	}
	change := func(c schema.Catalog) { t.Helper(); h.Change(t, c, schema.Catalog{}) }
	change(schema.Catalog{
		Users: []schema.User{user}, Memberships: []schema.Membership{member},
		Credentials: []schema.Credential{k},
	})
	b := signIn(t, h.Node, token)
	want := func(path string, status int) {
		t.Helper()
		if got := b.asks(t, "GET", path, ""); got.Status != status {
			t.Errorf("%s: %v, want %d", path, got, status)
		}
	}
	want("/v1/admin/audit", 200)
	member.Role = schema.Member
	change(schema.Catalog{Memberships: []schema.Membership{member}})
	want("/v1/admin/audit", 403)
	want(usagePath, 200)
	if got := b.asks(t, "GET", sessionPath, ""); !strings.Contains(string(got.Body), `"member"`) {
		t.Errorf("the role is %v", got)
	}
	k.ExpiresAt = time.Now().Add(-time.Second)
	change(schema.Catalog{Credentials: []schema.Credential{k}})
	want(usagePath, 401)
	want(sessionPath, 401)
	k.ExpiresAt = time.Now().Add(time.Hour)
	change(schema.Catalog{Credentials: []schema.Credential{k}})
	want(usagePath, 200)
	if s := signIn(t, h.Node, token).Session; time.Until(s.ExpiresAt) > time.Hour {
		t.Errorf("a session outlives its credential: %v", s.ExpiresAt)
	}
	h.Change(t, schema.Catalog{}, schema.Catalog{Credentials: []schema.Credential{k}})
	want(usagePath, 401)
	want(sessionPath, 401)
	want("/v1/admin/audit", 401)
}

func signingOut(t *testing.T, h *dialecttest.Harness) {
	b := signIn(t, h.Node, h.Acme.Member.AccessToken)
	got := b.asks(t, "DELETE", sessionPath, "")
	set := got.Header.Get("Set-Cookie")
	if got.Status != 204 || !strings.HasPrefix(set, "meterhouse_session=;") ||
		!strings.Contains(set, "1970") {
		t.Errorf("signing out: %v, %s", got, set)
	}
	b.cookie = "meterhouse_session=AAAA" // what is no session any more
	if got := b.asks(t, "DELETE", sessionPath, ""); got.Status != 204 {
		t.Errorf("signing out twice: %v", got)
	}
	b.cookie = ""
	if got := b.asks(t, "GET", sessionPath, ""); got.Status != 401 {
		t.Errorf("who is it: %v", got)
	}
}

// otherNodes takes a session to nodes with the same keys, with others, and later.
func otherNodes(t *testing.T, h *dialecttest.Harness) {
	b := signIn(t, h.Node, h.Acme.Member.AccessToken)
	want := func(what string, n *dialecttest.Node, status int) {
		t.Helper()
		b.Node = n
		if got := b.asks(t, "GET", usagePath, ""); got.Status != status {
			t.Errorf("%s: %v, want %d", what, got, status)
		}
	}
	want("another node", h.Start(t, dialecttest.NodeConfig{}), 200)
	want("before its end", h.Start(t, dialecttest.NodeConfig{Now: func() time.Time {
		return time.Now().Add(console.SessionMax - time.Minute)
	}}), 200)
	late := h.Start(t, dialecttest.NodeConfig{Now: func() time.Time {
		return time.Now().Add(console.SessionMax + time.Second)
	}})
	want("after its end", late, 401)
	if got := b.asks(t, "GET", sessionPath, ""); got.Status != 401 {
		t.Errorf("after its end: %v", got)
	}
	want("a node whose cookie has another name", h.Start(t, dialecttest.NodeConfig{
		Console: console.Config{PublicURL: mustURL("https://meter.example")},
	}), 401)
	h.Database.Exec("TRUNCATE TABLE console_keys")
	want("a node that knows the key", h.Node, 200)
	n := h.Start(t, dialecttest.NodeConfig{})
	want("a node without the key", n, 401)
	if b = signIn(t, n, h.Acme.Member.AccessToken); b.Session.CSRF == "" {
		t.Error("no new key was made")
	}
	want("the node that had another", h.Node, 200)
}
