package tracker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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
	organization = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	admin        = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	member       = uuid.MustParse("22222222-2222-4222-8222-222222222222")
	agent        = uuid.MustParse("12345678-1234-4234-8234-123456789012")
	freshID      = uuid.MustParse("01975c1e-0000-7000-8000-000000000001")
	storedID     = uuid.MustParse("01975c1e-0000-7000-8000-000000000002")
	now          = time.Date(2025, 7, 4, 12, 0, 0, 0, time.UTC)
)

// system is what the dialect talks to in these tests: a catalog, a recorder that keeps what it is
// given or answers as it is told, and a reader of the records it holds.
type system struct {
	*access.Directory
	dialect.Recorder
	dialect.Reader
	dialect.Corrector
	now     time.Time
	receipt dialect.Receipt
	err     error
	stored  []dialect.UsageRecord

	events []schema.Event
	pages  []dialect.UsageRecordsParams
}

func newSystem() *system {
	credential := func(
		kind schema.CredentialKind, secret string, user uuid.UUID,
	) schema.Credential {
		return schema.Credential{
			Hash: schema.HashSecret(secret), Kind: kind, Organization: organization, User: user,
		}
	}
	ofAgent := credential(schema.AgentSecret, "agent-secret", uuid.Nil)
	ofAgent.Agent = agent
	return &system{
		Corrector: newCorrector(),

		now:     now,
		receipt: dialect.Receipt{Accepted: 1},
		Directory: access.NewStatic(access.NewSnapshot(schema.Catalog{
			Organizations: []schema.Organization{{ID: organization}},
			Users:         []schema.User{{ID: admin}, {ID: member}},
			Memberships: []schema.Membership{
				{Organization: organization, User: admin, Role: schema.Admin, Active: true},
				{Organization: organization, User: member, Role: schema.Member, Active: true},
			},
			Agents: []schema.Agent{{ID: agent, Organization: organization, Owner: admin}},
			Credentials: []schema.Credential{
				credential(schema.AccessToken, "admin-token", admin),
				credential(schema.AppPassword, "member-password", member),
				credential(schema.LoginToken, "login-token", admin),
				ofAgent,
			},
		})),
		stored: []dialect.UsageRecord{{
			ID: storedID, User: admin, APIName: `<"llm">`, Endpoint: "/chat",
			Units:       schema.WholeQuantity(9223372036854775807),
			CostUSD:     usd("999999.9999"),
			ProviderKey: "sk-…efgh",
			Time:        now.Add(1500 * time.Microsecond),
		}},
	}
}

func usd(s string) schema.USD {
	u, err := schema.ParseUSD(s)
	if err != nil {
		panic(err)
	}
	return u
}

func (s *system) Record(
	_ context.Context, events []schema.Event, _ bool,
) (dialect.Receipt, error) {
	s.events = append(s.events, events...)
	return s.receipt, s.err
}

func (s *system) UsageRecord(
	_ context.Context, organization, id uuid.UUID,
) (dialect.UsageRecord, error) {
	for _, r := range s.stored {
		if r.ID == id {
			return r, s.err
		}
	}
	return dialect.UsageRecord{}, schema.Errorf(schema.NotFound, "", "no such record")
}

func (s *system) EventHistory(
	ctx context.Context, organization, id uuid.UUID,
) ([]dialect.Revision, error) {
	r, err := s.UsageRecord(ctx, organization, id)
	if err != nil {
		return nil, err
	}
	e := schema.Event{
		ID: r.ID, User: r.User, APIName: r.APIName, Endpoint: r.Endpoint, Time: r.Time,
		ProviderKey: r.ProviderKey,
		Measurements: []schema.Measurement{
			{UsageType: schema.Units, Quantity: r.Units, BilledCost: r.CostUSD},
		},
	}
	corrected := e
	corrected.Measurements = []schema.Measurement{{UsageType: schema.Units}}
	return []dialect.Revision{{Event: e, Reversed: true}, {Event: corrected, Voided: true}}, nil
}

func (s *system) UsageRecords(
	_ context.Context, p dialect.UsageRecordsParams,
) ([]dialect.UsageRecord, error) {
	s.pages = append(s.pages, p)
	var found []dialect.UsageRecord
	for _, r := range s.stored {
		if p.User == uuid.Nil || p.User == r.User {
			found = append(found, r)
		}
	}
	return found, s.err
}

func (s *system) app() *fiber.App {
	d := New(dialect.Door{
		Access: s, Recorder: s, Reader: s, Corrector: s,
		Now:   func() time.Time { return s.now },
		NewID: func() uuid.UUID { return freshID },
	})
	app := fiber.New(fiber.Config{
		StreamRequestBody:     true,
		DisableStartupMessage: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			// fasthttp does not skip what was left unread of a streamed body: the connection
			// cannot be used again.
			c.Context().SetConnectionClose()
			return d.WriteError(c, err)
		},
	})
	d.Mount(app)
	return app
}

// request makes a request; a header like "Name: value" replaces, the admin's token is there
// unless another Authorization is.
func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer admin-token")
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
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
		"Content-Type", "Allow", "Location", "Retry-After", "WWW-Authenticate", "Vary",
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
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

func (g *golden) add(name string, s *system, r *http.Request) {
	g.t.Helper()
	fmt.Fprintf(&g.b, "== %s\n%s\n", name, exchange(g.t, s.app(), r))
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

const asMember = "Authorization: Bearer member-password"

func TestWriteExchanges(t *testing.T) {
	g := golden{t: t}
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
	post := func(body string, headers ...string) *http.Request {
		return request("POST", "/usage", body, headers...)
	}
	g.add("created", newSystem(), post(valid))
	g.add("created with a slash", newSystem(), request("POST", "/usage/", valid))
	g.add("created at the original's mount", newSystem(),
		request("POST", "/api/v1/usage/", valid))
	g.add("no token, bad body", newSystem(), post("{", "Authorization: "))
	g.add("basic", newSystem(), post(valid, "Authorization: Basic YTpi"))
	g.add("unknown token", newSystem(), post(valid, "Authorization: Bearer nobody"))
	g.add("agent's secret", newSystem(), post(valid, "Authorization: Bearer agent-secret"))
	g.add("login token", newSystem(), post(valid, "Authorization: Bearer login-token"))
	g.add("all wrong", newSystem(), post(`{"api_name":1,"endpoint":"\u0000","units_used":-1,`+
		`"cost_usd":0.00001}`))
	g.add("bad JSON", newSystem(), post(`{"api_name":`))
	g.add("not UTF-8", newSystem(), post("{\"a\":\"\xff\"}"))
	g.add("empty body", newSystem(), post(""))
	g.add("form", newSystem(), post("a=1", "Content-Type: application/x-www-form-urlencoded"))
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
	g.add("rejected units", rejects("usage.UNITS"), post(valid))
	g.add("rejected key", rejects("provider_key"), post(valid))
	g.add("rejected otherwise", rejects("time"), post(valid))
	g.add("from a page", newSystem(), post(valid, "Origin: https://a.example"))
	g.compare("testdata/write.golden")
}

func TestReadExchanges(t *testing.T) {
	g := golden{t: t}
	get := func(path string, headers ...string) *http.Request {
		return request("GET", path, "", headers...)
	}
	one, ofAdmin := "/usage/"+storedID.String(), "/usage/user/"+admin.String()
	g.add("one", newSystem(), get(one))
	g.add("one at the original's mount", newSystem(), get("/api/v1"+one+"/"))
	g.add("another's", newSystem(), get(one, asMember))
	g.add("unknown", newSystem(), get("/usage/"+freshID.String()))
	g.add("placeholder id", newSystem(), get("/usage/usage-uuid"))
	g.add("escaped id", newSystem(), get("/usage/%22a%22%ff"))
	g.add("list", newSystem(), get("/usage"))
	g.add("list with a slash", newSystem(), get("/usage/?skip=0&limit=1"))
	g.add("a member's list", newSystem(), get("/usage", asMember))
	g.add("no token", newSystem(), get("/usage", "Authorization: "))
	g.add("bad page", newSystem(), get("/usage?skip=-1&limit=1001"))
	g.add("no numbers", newSystem(), get("/usage?skip=&limit=ten"))
	g.add("user", newSystem(), get(ofAdmin))
	g.add("unknown user", newSystem(), get("/usage/user/"+freshID.String()))
	g.add("no user", newSystem(), get("/usage/user/"+uuid.Nil.String()))
	g.add("another user", newSystem(), get(ofAdmin, asMember))
	g.add("placeholder user and bad page", newSystem(), get("/usage/user/uuid123?skip=a"))
	g.add("patch list", newSystem(), request("PATCH", "/usage", ""))
	g.add("head", newSystem(), request("HEAD", one, ""))
	g.add("options", newSystem(), request("OPTIONS", one, ""))
	g.add("unknown path", newSystem(), get("/usage/a/b/c"))
	g.add("from a page", newSystem(), get(one, "Origin: https://a.example"))
	g.add("401 to a page", newSystem(), get(one, "Origin: https://a.example",
		"Authorization: Bearer x"))
	for _, path := range []string{"/usage", one, ofAdmin, "/api/v1/usage/"} {
		g.add("preflight of "+path, newSystem(), request("OPTIONS", path, "",
			"Authorization: ", "Origin: https://a.example", "Access-Control-Request-Method: PUT",
			"Access-Control-Request-Headers: authorization, content-type"))
	}
	g.compare("testdata/read.golden")
}

var decimals = cmp.Options{
	cmp.Comparer(func(a, b schema.Quantity) bool { return a == b }),
	cmp.Comparer(func(a, b schema.USD) bool { return a == b }),
}

func TestEventIsTheCallersWithAGivenCost(t *testing.T) {
	s := newSystem()
	s.now = now.Add(1234567 * time.Nanosecond)
	body := `{"user_id":"` + admin.String() + `",` + valid[1:]
	got := exchange(t, s.app(), request("POST", "/usage", body, asMember))
	if !strings.Contains(got, `"created_at":"2025-07-04T12:00:00.001234Z"`) {
		t.Errorf("answer %s", got)
	}
	want := []schema.Event{{
		Organization: organization,
		ID:           freshID,
		Entry:        schema.Record,
		Time:         now.Add(1234 * time.Microsecond),
		User:         member,
		APIName:      "llm_query",
		Endpoint:     "/chat",
		ProviderKey:  "sk-…efgh",
		Chargeable:   true,
		Measurements: []schema.Measurement{{
			UsageType: schema.Units, Quantity: schema.WholeQuantity(346),
			ProviderCost: usd("0.0043"), BilledCost: usd("0.0043"), Pricing: schema.Given,
		}},
	}}
	if diff := cmp.Diff(want, s.events, decimals); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestRetryIsAnsweredFromTheLedger(t *testing.T) {
	const key = "call 7"
	retry := func(user uuid.UUID, usageID uuid.UUID) (*system, string) {
		t.Helper()
		s := newSystem()
		s.receipt = dialect.Receipt{Duplicates: 1}
		s.stored[0].ID, s.stored[0].User = usageID, user
		body := strings.Replace(valid, "346", "999", 1)
		return s, exchange(t, s.app(), request("POST", "/usage", body, "Idempotency-Key: "+key))
	}
	id := schema.EventID(organization, key)
	s, got := retry(admin, id)
	if !strings.HasPrefix(got, "201\n") ||
		!strings.Contains(got, `"usage_id":"`+id.String()+`"`) ||
		!strings.Contains(got, `"units_used":9223372036854775807`) ||
		!strings.Contains(got, `"api_key_used":"sk-live-abcdefgh"`) {
		t.Errorf("retry: %s", got)
	}
	if s.events[0].ID != id || s.events[0].Key != key {
		t.Errorf("event %+v", s.events[0])
	}
	const taken = `{"detail":[{"type":"value_error","loc":["header","idempotency-key"],` +
		`"msg":"Value error, the key was used for something else","input":"call 7"}]}`
	for _, c := range []struct{ user, id uuid.UUID }{{member, id}, {admin, freshID}} {
		if _, got := retry(c.user, c.id); !strings.HasPrefix(got, "422\n") ||
			!strings.Contains(got, taken) {
			t.Errorf("key of another: %s", got)
		}
	}
}

func TestPageIsScopedByCaller(t *testing.T) {
	f := func(path, header string, want dialect.UsageRecordsParams) {
		t.Helper()
		s := newSystem()
		exchange(t, s.app(), request("GET", path, "", header))
		want.Organization = organization
		if diff := cmp.Diff([]dialect.UsageRecordsParams{want}, s.pages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	const asAdmin = "Authorization: bearer admin-token"
	f("/usage", asAdmin, dialect.UsageRecordsParams{Limit: 100})
	f("/usage?skip=5&limit=1000", asAdmin, dialect.UsageRecordsParams{Offset: 5, Limit: 1000})
	f("/usage?limit=1&limit=%202%20", asAdmin, dialect.UsageRecordsParams{Limit: 2})
	f("/usage", asMember, dialect.UsageRecordsParams{User: member, Limit: 100})
	f("/usage/user/"+member.String()+"?skip=1", asMember,
		dialect.UsageRecordsParams{User: member, Offset: 1, Limit: 100})
	f("/usage/user/"+member.String(), asAdmin,
		dialect.UsageRecordsParams{User: member, Limit: 100})
}

func TestRefusedRequestReachesNothing(t *testing.T) {
	s := newSystem()
	app := s.app()
	for _, r := range []*http.Request{
		request("POST", "/usage", valid, "Authorization: Bearer nobody"),
		request("POST", "/usage", valid, "Content-Type: text/plain"),
		request("POST", "/usage", with(t, fieldUnits, "-1")),
		request("GET", "/usage?limit=-1", ""),
		request("GET", "/usage?limit=0", ""),
		request("GET", "/usage/user/"+admin.String(), "", asMember),
	} {
		exchange(t, app, r)
	}
	if len(s.events) != 0 || len(s.pages) != 0 {
		t.Errorf("events %+v, pages %+v", s.events, s.pages)
	}
}
