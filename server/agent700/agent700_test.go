package agent700

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	acme    = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	globex  = uuid.MustParse("1c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	ada     = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11") // superadmin of both
	ben     = uuid.MustParse("8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11") // member of Acme
	eve     = uuid.MustParse("9b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11") // no active superadmin
	joe     = uuid.MustParse("ab0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11") // superadmin elsewhere
	freshID = uuid.MustParse("01975c1e-0000-7000-8000-000000000001")
	now     = time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
)

// system is what the dialect talks to in these tests: a catalog, a recorder that prices and keeps
// what it is given or answers as it is told, and a reader of what it holds.
type system struct {
	*access.Directory
	dialect.Recorder
	dialect.Reader
	receipt  dialect.Receipt
	err      error
	history  []dialect.Revision
	billable dialect.BillableRequests

	events []schema.Event
	asked  []dialect.BillableRequestsParams
}

func rate(model, usageType, provider, billed string, from time.Time) schema.Rate {
	return schema.Rate{
		ID: uuid.New(), Model: model, UsageType: usageType, From: from,
		ProviderUSDPerMillion: usd(provider), BilledUSDPerMillion: usd(billed),
	}
}

func usd(s string) schema.USD {
	u, err := schema.ParseUSD(s)
	if err != nil {
		panic(err)
	}
	return u
}

func newSystem() *system {
	credential := func(
		kind schema.CredentialKind, secret string, organization, user uuid.UUID,
	) schema.Credential {
		return schema.Credential{
			Hash: schema.HashSecret(secret), Kind: kind, Organization: organization, User: user,
		}
	}
	expired := credential(schema.AppPassword, "app_a7_expired", acme, ada)
	expired.ExpiresAt = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	start, future := now.AddDate(-1, 0, 0), now.AddDate(0, 0, 1)
	return &system{
		receipt: dialect.Receipt{Accepted: 1},
		Directory: access.NewStatic(access.NewSnapshot(schema.Catalog{
			Organizations: []schema.Organization{{ID: acme, Name: "Acme"}, {ID: globex, Name: "Globex"}},
			Users: []schema.User{
				{ID: ada, Name: "Ada", Email: "ada@acme.example"}, {ID: ben}, {ID: eve}, {ID: joe},
			},
			Memberships: []schema.Membership{
				{Organization: acme, User: ada, Role: schema.Superadmin, Active: true},
				{Organization: globex, User: ada, Role: schema.Admin, Active: true},
				{Organization: acme, User: ben, Role: schema.Member, Active: true},
				{Organization: acme, User: eve, Role: schema.Admin, Active: true},
				{Organization: globex, User: eve, Role: schema.Superadmin, Active: false},
				{Organization: acme, User: joe, Role: schema.Member, Active: true},
				{Organization: globex, User: joe, Role: schema.Superadmin, Active: true},
			},
			Services: []schema.Service{{Name: "transcription"}},
			Credentials: []schema.Credential{
				credential(schema.AppPassword, "app_a7_ada", acme, ada),
				credential(schema.AccessToken, "ada-token", acme, ada),
				credential(schema.LoginToken, "ada-login", acme, ada),
				credential(schema.AppPassword, "app_a7_ben", acme, ben),
				credential(schema.AppPassword, "app_a7_eve", acme, eve),
				credential(schema.AppPassword, "app_a7_joe", acme, joe),
				expired,
			},
			Rates: []schema.Rate{
				rate("gpt-4o-mini", schema.Input, "0.15", "0.195", start),
				rate("gpt-4o-mini", schema.Output, "0.6", "0.78", start),
				rate("embedding", schema.Input, "0.02", "0.02", start),
				rate("writer", schema.Output, "1", "1", start),
				rate("seconds", schema.VapiSeconds, "1", "1", start),
				rate("tomorrow", schema.Input, "1", "1", future),
			},
		})),
	}
}

func (s *system) Record(
	_ context.Context, events []schema.Event, _ bool,
) (dialect.Receipt, error) {
	for i := range events {
		_ = s.Snapshot().Price(&events[i])
	}
	s.events = append(s.events, events...)
	return s.receipt, s.err
}

func (s *system) EventHistory(
	_ context.Context, organization, id uuid.UUID,
) ([]dialect.Revision, error) {
	if len(s.history) == 0 || s.history[0].Event.Organization != organization ||
		s.history[0].Event.ID != id {
		return nil, schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	return s.history, nil
}

func (s *system) BillableRequests(
	_ context.Context, p dialect.BillableRequestsParams,
) (dialect.BillableRequests, error) {
	s.asked = append(s.asked, p)
	return s.billable, s.err
}

func (s *system) app() *fiber.App {
	d := New(dialect.Door{
		Access: s, Recorder: s, Reader: s,
		Now:   func() time.Time { return now },
		NewID: func() uuid.UUID { return freshID },
	})
	app := fiber.New(fiber.Config{
		StreamRequestBody:     true,
		DisableStartupMessage: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			c.Context().SetConnectionClose() // what was left unread of a body is on it
			return d.WriteError(c, err)
		},
	})
	d.Mount(app)
	return app
}

const (
	pathUsage = "/api/billing/external-usage"
	pathUser  = "/api/billing/user"
	pathLogin = "/api/auth/app-login"
)

// call makes a request; a header like "Name: value" replaces, Ada's app password is there unless
// another Authorization is.
func call(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer app_a7_ada")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// exchange sends r and returns the answer as golden files show it.
func exchange(t *testing.T, app *fiber.App, r *http.Request) string {
	t.Helper()
	res, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", res.StatusCode)
	for _, name := range []string{
		"Content-Type", "Allow", "Cache-Control", "Location", "Retry-After", "WWW-Authenticate",
	} {
		if v := res.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&b, "%s\n", body)
	return b.String()
}

// golden compares exchanges with a golden file.
type golden struct {
	t *testing.T
	b strings.Builder
}

var jwt = regexp.MustCompile(`[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}`)

func (g *golden) add(name string, s *system, r *http.Request) {
	g.t.Helper()
	got := jwt.ReplaceAllString(exchange(g.t, s.app(), r), "HEADER.CLAIMS.SIGNATURE")
	fmt.Fprintf(&g.b, "== %s\n%s\n", name, got)
}

func (g *golden) compare(file string) {
	g.t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(g.b.String()), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), g.b.String()); diff != "" {
		g.t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestUsageExchanges(t *testing.T) {
	g := golden{t: t}
	post := func(body string, headers ...string) *http.Request {
		return call("POST", pathUsage, body, headers...)
	}
	fails := func(err error) *system {
		s := newSystem()
		s.err = err
		return s
	}
	rejects := func(field string) *system {
		s := newSystem()
		s.receipt = dialect.Receipt{Rejected: []dialect.Rejection{
			{Err: schema.Errorf(schema.Invalid, field, "is not allowed")},
		}}
		return s
	}
	model := func(name string) string { return strings.Replace(valid, "gpt-4o-mini", name, 1) }
	tokens := func(model_, in, out string) string {
		return strings.NewReplacer("1200", in, "350", out).Replace(model(model_))
	}
	g.add("logged", newSystem(), post(valid))
	g.add("with an access token, a slash and no channel", newSystem(),
		call("POST", pathUsage+"/", with(t, fieldChannel, `"x":1`), "Authorization: bearer ada-token"))
	g.add("by a superadmin of another organization", newSystem(),
		post(valid, "Authorization: Bearer app_a7_joe"))
	g.add("headers of other clients", newSystem(), post(valid, "X-Organization-ID: "+globex.String(),
		"X-Screen-Resolution: 1x1", "X-Device-Fingerprint: x"))
	g.add("nothing used", newSystem(), post(tokens("gpt-4o-mini", "0", "0")))
	g.add("the most tokens", newSystem(), post(tokens("gpt-4o-mini", "999999999999", "999999999999")))
	g.add("output without a rate", newSystem(), post(tokens("embedding", "1000", "1")))
	g.add("no output, and no rate for it", newSystem(), post(tokens("embedding", "1000", "0")))
	g.add("no input, and no rate for it", newSystem(), post(tokens("writer", "0", "1000")))
	g.add("no rate for tokens at all", newSystem(), post(tokens("seconds", "0", "0")))
	g.add("no header, bad body", newSystem(), post("{", "Authorization: "))
	g.add("basic", newSystem(), post(valid, "Authorization: Basic YTpi"))
	g.add("unknown app password", newSystem(), post(valid, "Authorization: Bearer app_a7_x"))
	g.add("expired app password", newSystem(), post(valid, "Authorization: Bearer app_a7_expired"))
	g.add("unknown token", newSystem(), post(valid, "Authorization: Bearer a.b.c"))
	g.add("login token", newSystem(), post(valid, "Authorization: Bearer ada-login"))
	g.add("member, bad body", newSystem(), post("{", "Authorization: Bearer app_a7_ben"))
	g.add("inactive superadmin", newSystem(), post(valid, "Authorization: Bearer app_a7_eve"))
	g.add("no JSON", newSystem(), post("{"))
	g.add("empty body", newSystem(), post(""))
	g.add("form", newSystem(), post("a=1", "Content-Type: application/x-www-form-urlencoded"))
	g.add("nothing in it", newSystem(), post("{}"))
	g.add("all wrong", newSystem(), post(`{"user_id":1,"organization_id":"x","model_name":[],`+
		`"input_tokens":"10","output_tokens":10.5,"service_name":"\n","channel":false}`))
	g.add("unknown organization", newSystem(),
		post(strings.Replace(valid, acme.String(), freshID.String(), 1)))
	g.add("unknown user", newSystem(), post(strings.Replace(valid, ada.String(), freshID.String(), 1)))
	g.add("user of another organization", newSystem(), post(strings.NewReplacer(
		acme.String(), globex.String(), ada.String(), ben.String()).Replace(valid)))
	g.add("inactive user", newSystem(), post(strings.NewReplacer(
		acme.String(), globex.String(), ada.String(), eve.String()).Replace(valid)))
	g.add("unknown service", newSystem(), post(strings.Replace(valid, "transcription", "<foo>", 1)))
	g.add("unknown model", newSystem(), post(model("foo")))
	g.add("a model of tomorrow", newSystem(), post(model("tomorrow")))
	g.add("empty key", newSystem(), post(valid, "Idempotency-Key: "))
	g.add("long key", newSystem(), post(valid, "Idempotency-Key: "+strings.Repeat("k", 201)))
	g.add("too large", newSystem(), post(strings.Repeat(" ", schema.RequestBytesMax+1)))
	g.add("brotli", newSystem(), post(valid, "Content-Encoding: br"))
	g.add("overloaded", fails(&schema.Error{
		Kind: schema.Overloaded, Message: "too many events are waiting",
		RetryAfter: 1500 * time.Millisecond,
	}), post(valid))
	g.add("unavailable", fails(&schema.Error{
		Kind: schema.Unavailable, Message: "shutting down",
	}), post(valid))
	g.add("internal", fails(errors.New("disk /secret/path is full")), post(valid))
	g.add("internal by kind", fails(schema.Errorf(schema.Internal, "", "secret")), post(valid))
	g.add("rejected tokens", rejects("usage.INPUT"), post(valid))
	g.add("rejected otherwise", rejects("time"), post(valid))
	g.add("get", newSystem(), call("GET", pathUsage, ""))
	g.add("options", newSystem(), call("OPTIONS", pathUsage, ""))
	g.add("unknown path", newSystem(), call("GET", "/api/billing/logs/user", ""))
	g.compare("testdata/usage.golden")
}

func TestLoginExchanges(t *testing.T) {
	g := golden{t: t}
	post := func(body string, headers ...string) *http.Request {
		return call("POST", pathLogin, body, append(headers, "Authorization: ")...)
	}
	login := func(token string) *http.Request { return post(`{"token":"` + token + `"}`) }
	g.add("issued", newSystem(), login("app_a7_ada"))
	g.add("of a member", newSystem(), login("app_a7_ben"))
	g.add("unknown", newSystem(), login("app_a7_x"))
	g.add("expired", newSystem(), login("app_a7_expired"))
	g.add("an access token", newSystem(), login("ada-token"))
	g.add("a login token", newSystem(), login("ada-login"))
	g.add("no token", newSystem(), post("{}"))
	g.add("no text", newSystem(), post(`{"token":["app_a7_ada"]}`))
	g.add("no JSON", newSystem(), post("token=app_a7_ada"))
	g.add("form", newSystem(),
		post("token=app_a7_ada", "Content-Type: application/x-www-form-urlencoded"))
	g.add("too large", newSystem(), login(strings.Repeat("x", loginBytesMax)))
	g.add("too large by its own word, and not read", newSystem(),
		post(strings.Repeat(" ", loginBytesMax+1), "Content-Encoding: br"))
	g.add("get", newSystem(), call("GET", pathLogin, ""))
	g.add("refresh is not there", newSystem(), call("POST", "/api/auth/refresh", "{}"))
	g.compare("testdata/login.golden")
}

func TestBillingExchanges(t *testing.T) {
	g := golden{t: t}
	filled := func() *system {
		s := newSystem()
		s.billable = dialect.BillableRequests{
			ProviderCost: usd("0.00039"), BilledCost: usd("1234567.000000000507"),
			Newest: []dialect.BillableRequest{
				{
					ID: freshID, Service: "transcription", Model: "gpt-4o-mini", Channel: "external_api",
					InputTokens: schema.WholeQuantity(1200), OutputTokens: schema.WholeQuantity(350),
					ProviderCost: usd("0.00039"), BilledCost: usd("0.000507"), Time: now,
				},
				{
					ID: ben, Service: "<b>", Model: "", InputTokens: quantity("1.9"),
					Unpriced: 1, Time: now.Truncate(time.Hour),
				},
			},
		}
		return s
	}
	get := func(query string, headers ...string) *http.Request {
		return call("GET", pathUser+query, "", headers...)
	}
	g.add("own", filled(), get(""))
	g.add("none", newSystem(), get("?start_date=2026-10-01&end_date=2026-10-31"))
	g.add("bad dates", newSystem(), get("?start_date=x&end_date=2026-02-30"))
	g.add("the wrong way round", newSystem(), get("?start_date=2026-10-02&end_date=2026-10-01"))
	g.add("no token", newSystem(), get("", "Authorization: "))
	g.add("unknown token", newSystem(), get("", "Authorization: Bearer x"))
	failing := newSystem()
	failing.err = errors.New("table usage_events is gone")
	g.add("internal", failing, get(""))
	g.add("head", newSystem(), call("HEAD", pathUser, ""))
	g.add("post", newSystem(), call("POST", pathUser, "{}"))
	g.compare("testdata/billing.golden")
}

func quantity(s string) schema.Quantity {
	q, err := schema.ParseQuantity(s)
	if err != nil {
		panic(err)
	}
	return q
}

var decimals = cmp.Options{
	cmp.Comparer(func(a, b schema.Quantity) bool { return a == b }),
	cmp.Comparer(func(a, b schema.USD) bool { return a == b }),
}

func TestEventIsOfTheBodysOrganization(t *testing.T) {
	s := newSystem()
	body := strings.NewReplacer(acme.String(), globex.String(), "1200", "10.0").Replace(valid)
	if got := exchange(t, s.app(), call("POST", pathUsage, body)); !strings.HasPrefix(got, "201\n") {
		t.Fatal(got)
	}
	in, _ := s.Snapshot().Rate("gpt-4o-mini", schema.Input, now)
	out, _ := s.Snapshot().Rate("gpt-4o-mini", schema.Output, now)
	want := []schema.Event{{
		Organization: globex, ID: freshID, Entry: schema.Record, User: ada,
		Time: now.Truncate(time.Microsecond), Service: "transcription", Channel: "voice",
		Model: "gpt-4o-mini", Chargeable: true,
		Measurements: []schema.Measurement{
			{
				UsageType: schema.Input, Quantity: schema.WholeQuantity(10), Rate: in.ID,
				ProviderCost: usd("0.0000015"), BilledCost: usd("0.00000195"), Pricing: schema.Rated,
			},
			{
				UsageType: schema.Output, Quantity: schema.WholeQuantity(350), Rate: out.ID,
				ProviderCost: usd("0.00021"), BilledCost: usd("0.000273"), Pricing: schema.Rated,
			},
		},
	}}
	if diff := cmp.Diff(want, s.events, decimals); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestRetryIsAnsweredAsTheFirstTry(t *testing.T) {
	const key = "Idempotency-Key: call 7"
	id := schema.EventID(acme, "call 7")
	s := newSystem()
	first := exchange(t, s.app(), call("POST", pathUsage, valid, key))
	if !strings.HasPrefix(first, "201\n") || !strings.Contains(first, `"id":"`+id.String()+`"`) ||
		s.events[0].ID != id || s.events[0].Key != "call 7" {
		t.Fatalf("%s\n%+v", first, s.events)
	}
	stored := s.events[0]
	corrected := stored
	corrected.Revision, corrected.Model = 1, "other"
	retry := func(change func(*schema.Event)) string {
		e := stored
		change(&e)
		s.history = []dialect.Revision{{Event: e, Reversed: true}, {Event: corrected}}
		s.receipt = dialect.Receipt{Duplicates: 1, Repeated: []int{0}}
		body := strings.Replace(valid, "1200", "7", 1)
		return exchange(t, s.app(), call("POST", pathUsage, body, key))
	}
	if got := retry(func(*schema.Event) {}); got != first {
		t.Errorf("retry: %s\nwant %s", got, first)
	}
	const taken = "409\nContent-Type: application/json\n" +
		`{"error":"Idempotency-Key was used for something else in this organization"}` + "\n"
	for name, change := range map[string]func(*schema.Event){
		"an agent's":     func(e *schema.Event) { e.Agent = freshID },
		"of no service":  func(e *schema.Event) { e.Service = "" },
		"of other units": func(e *schema.Event) { e.Measurements[0].UsageType = schema.Units },
		"gone":           func(e *schema.Event) { e.ID = freshID },
	} {
		if got := retry(change); got != taken {
			t.Errorf("key of an event %s: %s", name, got)
		}
		stored.Measurements[0].UsageType = schema.Input
	}
}

func TestBillingIsTheCallersOwn(t *testing.T) {
	f := func(query, password string, want dialect.BillableRequestsParams) {
		t.Helper()
		s := newSystem()
		exchange(t, s.app(), call("GET", pathUser+query, "", "Authorization: Bearer "+password))
		want.Organization, want.Limit = acme, 1000
		if diff := cmp.Diff([]dialect.BillableRequestsParams{want}, s.asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	day := func(month time.Month, day int) time.Time {
		return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC)
	}
	f("", "app_a7_ben", dialect.BillableRequestsParams{User: ben, From: day(11, 1), To: now})
	f("?user_id="+ben.String(), "app_a7_ada",
		dialect.BillableRequestsParams{User: ada, From: day(11, 1), To: now})
	f("?start_date=2026-10-05&end_date=2026-10-31", "app_a7_joe",
		dialect.BillableRequestsParams{User: joe, From: day(10, 5), To: day(11, 1)})
}

func TestRefusedRequestReachesNothing(t *testing.T) {
	s := newSystem()
	app := s.app()
	for _, r := range []*http.Request{
		call("POST", pathUsage, valid, "Authorization: Bearer nobody"),
		call("POST", pathUsage, valid, "Authorization: Bearer app_a7_eve"),
		call("POST", pathUsage, valid, "Content-Type: text/plain"),
		call("POST", pathUsage, with(t, fieldInput, `"input_tokens":-1`)),
		call("POST", pathUsage, strings.Replace(valid, "transcription", "x", 1)),
		call("POST", pathUsage, strings.Replace(valid, "gpt-4o-mini", "x", 1)),
		call("POST", pathUsage, strings.Replace(valid, ada.String(), freshID.String(), 1)),
		call("GET", pathUser+"?start_date=x", ""),
		call("GET", pathUser, "", "Authorization: Bearer nobody"),
	} {
		if got := exchange(t, app, r); strings.HasPrefix(got, "2") {
			t.Errorf("%s %s: %s", r.Method, r.URL, got)
		}
	}
	if len(s.events) != 0 || len(s.asked) != 0 {
		t.Errorf("events %+v, asked %+v", s.events, s.asked)
	}
}

// TestIssuedTokenIsABearer uses a token as clients do: it speaks for whoever logged in.
func TestIssuedTokenIsABearer(t *testing.T) {
	s := newSystem()
	app := s.app()
	_, text, _ := strings.Cut(exchange(t, app, call("POST", pathLogin, `{"token":"app_a7_ada"}`)), "{")
	var issued session
	if err := json.Unmarshal([]byte("{"+text), &issued); err != nil {
		t.Fatal(err)
	}
	r := call("POST", pathUsage, valid, "Authorization: Bearer "+issued.AccessToken)
	if got := exchange(t, app, r); !strings.HasPrefix(got, "201\n") {
		t.Error(got)
	}
	// The last character of a signature has bits to spare: the first one has none.
	head, signature, _ := cutLast(issued.AccessToken, ".")
	forged := head + "." + map[bool]string{true: "B", false: "A"}[signature[0] == 'A'] + signature[1:]
	want := `{"error":"Invalid or expired token"}`
	r = call("POST", pathUsage, valid, "Authorization: Bearer "+forged)
	if got := exchange(t, app, r); !strings.Contains(got, want) {
		t.Error(got)
	}
}

func cutLast(s, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(s, separator)
	return s[:i], s[i+1:], true
}
