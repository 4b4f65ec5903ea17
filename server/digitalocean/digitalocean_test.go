package digitalocean

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

var update = flag.Bool("update", false, "write testdata anew")

var (
	acme      = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	other     = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e66")
	ada       = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	gone      = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22")
	helper    = uuid.MustParse("12345678-1234-4234-8234-123456789012")
	foreign   = uuid.MustParse("12345678-1234-4234-8234-1234567890ff")
	requestID = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
)

func newCatalog() *access.Directory {
	credential := func(kind schema.CredentialKind, organization, user uuid.UUID, secret string,
	) schema.Credential {
		return schema.Credential{Hash: schema.HashSecret(secret), Kind: kind,
			Organization: organization, User: user}
	}
	return access.NewStatic(access.NewSnapshot(schema.Catalog{
		Organizations: []schema.Organization{{ID: acme}, {ID: other}},
		Users:         []schema.User{{ID: ada}, {ID: gone}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Member, Active: true},
			{Organization: other, User: ada, Role: schema.Superadmin, Active: true},
			{Organization: acme, User: gone, Role: schema.Superadmin},
		},
		Agents: []schema.Agent{
			{ID: helper, Organization: acme}, {ID: foreign, Organization: other},
		},
		Credentials: []schema.Credential{
			credential(schema.AccessToken, acme, ada, "dop_v1_ada"),
			credential(schema.AppPassword, acme, ada, "app_a7_ada"),
			credential(schema.LoginToken, acme, ada, "login-ada"),
			credential(schema.AccessToken, acme, gone, "dop_v1_gone"),
			{Hash: schema.HashSecret("agent-secret"), Kind: schema.AgentSecret,
				Organization: acme, Agent: helper},
		},
	}))
}

type reader struct {
	dialect.Reader
	asked  []dialect.AgentUsageParams
	answer dialect.AgentUsage
	err    error
}

func (r *reader) AgentUsage(
	_ context.Context, p dialect.AgentUsageParams,
) (dialect.AgentUsage, error) {
	r.asked = append(r.asked, p)
	answer := r.answer
	if p.To.IsZero() { // the question starts a second after the request came
		p.To = now.Truncate(time.Microsecond).Add(time.Second + time.Microsecond)
	}
	answer.To = p.To
	if !p.From.IsZero() {
		answer.From = p.From
	} else if answer.From.IsZero() {
		answer.From = p.To
	}
	return answer, r.err
}

func newApp(r dialect.Reader) *fiber.App {
	d := New(dialect.Door{
		Access: newCatalog(),
		Reader: r,
		Now:    func() time.Time { return now },
		NewID:  func() uuid.UUID { return requestID },
	})
	app := fiber.New(fiber.Config{StreamRequestBody: true, ErrorHandler: d.WriteError})
	d.Mount(app)
	return app
}

func request(method, target, token string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.RequestURI = target // as it is, also where it is no URL
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// exchange sends a request and returns what came back as text: status, our headers, body.
func exchange(t *testing.T, app *fiber.App, r *http.Request) string {
	t.Helper()
	answer, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%d\n", r.Method, r.RequestURI, answer.StatusCode)
	for _, name := range []string{
		"Content-Type", "X-Request-Id", "Www-Authenticate", "Retry-After", "Allow",
		"Ratelimit-Limit",
	} {
		if v := answer.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

const (
	path    = "/v2/gen-ai/agents/12345678-1234-4234-8234-123456789012/usage"
	january = "?start=2026-01-01T00%3A00%3A00Z&stop=2026-01-31T23%3A59%3A59Z"
)

func TestExchanges(t *testing.T) {
	rows := []dialect.AgentUsageRow{
		{UsageType: "CACHED_INPUT", Quantity: schema.WholeQuantity(0)},
		{UsageType: "INPUT", Quantity: schema.QuantityOf(schema.Int128{Lo: 123_999_999})},
		{UsageType: "INPUT", LogInsights: true, Quantity: schema.WholeQuantity(7)},
		{UsageType: "OPENAI_TOKENS", Quantity: schema.WholeQuantity(1<<63 - 1)},
		{UsageType: "OUTPUT", Quantity: schema.WholeQuantity(45)},
		{UsageType: "SESSIONS", Quantity: schema.WholeQuantity(3)},
		{UsageType: "VAPI_SECONDS", LogInsights: true, Quantity: schema.WholeQuantity(9)},
	}
	first := time.Date(2025, 11, 2, 3, 4, 5, 600_000_000, time.UTC)
	f := func(name string, r *reader, req *http.Request) {
		t.Helper()
		golden(t, name, exchange(t, newApp(r), req))
	}
	used := func() *reader { return &reader{answer: dialect.AgentUsage{From: first, Rows: rows}} }
	f("usage", used(), request("GET", path+january, "dop_v1_ada"))
	f("no_start", used(), request("GET", path+"?", "app_a7_ada"))
	f("no_events", &reader{}, request("GET", path, "dop_v1_ada"))
	f("stop_before_first_event", &reader{answer: dialect.AgentUsage{From: first}},
		request("GET", path+"?stop=2025-01-01", "dop_v1_ada"))
	f("alias", &reader{}, request("GET", strings.Replace(path, "gen-ai", "genai", 1)+january,
		"dop_v1_ada"))
	f("bad_start", &reader{}, request("GET", path+"?start=tomorrow", "dop_v1_ada"))
	f("start_after_stop", &reader{}, request("GET", path+"?start=2026-01-02&stop=2026-01-01",
		"dop_v1_ada"))
	f("unauthorized", &reader{}, request("GET", path, ""))
	f("not_found", &reader{}, request("GET", "/v2/gen-ai/agents/nobody/usage", "dop_v1_ada"))
	f("unknown_route", &reader{}, request("GET", "/v2/droplets", "dop_v1_ada"))
	f("wrong_method", &reader{}, request("POST", path, "dop_v1_ada"))
	f("internal", &reader{err: errors.New("dial tcp 10.0.0.1: secret")},
		request("GET", path, "dop_v1_ada"))
	f("overloaded", &reader{err: &schema.Error{Kind: schema.Overloaded, Message: "busy",
		RetryAfter: 1500 * time.Millisecond}}, request("GET", path, "dop_v1_ada"))
	f("unavailable", &reader{err: schema.Errorf(schema.Unavailable, "", "10.0.0.1 is down")},
		request("GET", path, "dop_v1_ada"))
}

func TestOnlyTheOrganizationsMembersReadItsAgents(t *testing.T) {
	f := func(token, id string, want int) {
		t.Helper()
		r := &reader{}
		target := "/v2/gen-ai/agents/" + id + "/usage"
		answer, err := newApp(r).Test(request("GET", target, token), -1)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s, %s: status %d, want %d", token, id, answer.StatusCode, want)
		}
		if asked := len(r.asked) > 0; asked != (want == http.StatusOK) {
			t.Errorf("%s, %s: reader asked: %v", token, id, asked)
		}
	}
	f("dop_v1_ada", helper.String(), 200)
	f("app_a7_ada", helper.String(), 200)
	f("dop_v1_ada", "%22"+helper.String()+"%22", 200)
	f("dop_v1_ada", strings.ToUpper(helper.String()), 200)
	f("dop_v1_ada", foreign.String(), 404) // also where she is a superadmin of the other one
	f("dop_v1_ada", uuid.Nil.String(), 404)
	f("dop_v1_ada", uuid.NewString(), 404)
	f("dop_v1_ada", "x", 404)
	f("dop_v1_ada", "%zz", 404)
	f("dop_v1_ada", "%22", 404)
	for _, token := range []string{"", "nobody", "login-ada", "agent-secret", "dop_v1_gone"} {
		f(token, helper.String(), 401)
		f(token, foreign.String(), 401)
	}
}

func TestReaderIsAskedHalfOpen(t *testing.T) {
	f := func(query string, want ...dialect.AgentUsageParams) {
		t.Helper()
		r := &reader{}
		exchange(t, newApp(r), request("GET", path+query, "dop_v1_ada"))
		if diff := cmp.Diff(want, r.asked); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	p := func(from, to string) dialect.AgentUsageParams {
		return dialect.AgentUsageParams{Organization: acme, Agent: helper,
			From: at(t, from), To: at(t, to)}
	}
	f("", p("", "")) // until now: identical ones share a question
	f("?start=&stop=", p("", ""))
	f("?start=2026-01-01", p("2026-01-01T00:00:00Z", ""))
	f(january, p("2026-01-01T00:00:00Z", "2026-01-31T23:59:59.000001Z"))
	f("?start=2026-01-01T02:00:00+02:00&stop=%222026-01-01%22",
		p("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"))
	f("?start=2026-01-01T00:00:00.0000001Z&stop=2026-01-01T00:00:00.0000002Z") // nobody to ask
}

func TestRequestIDIsTheServersWhenThereIsOne(t *testing.T) {
	d := New(dialect.Door{Access: newCatalog(), NewID: uuid.New})
	app := fiber.New(fiber.Config{ErrorHandler: d.WriteError})
	app.Use(func(c *fiber.Ctx) error {
		c.Set("X-Request-Id", "req-1")
		return c.Next()
	})
	d.Mount(app)
	got := exchange(t, app, request("GET", path, ""))
	if !strings.Contains(got, "X-Request-Id: req-1") || !strings.Contains(got, `_id":"req-1"`) {
		t.Error(got)
	}
}

func TestUnknownErrorsShowNothing(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		status, _, answer := encodeError(err)
		if status != want || answer.ID == "" || strings.Contains(answer.Message, "secret") {
			t.Errorf("%v: %d %v", err, status, answer)
		}
	}
	f(errors.New("secret"), 500)
	f(schema.Errorf(schema.Internal, "secret", "secret"), 500)
	f(schema.Errorf(schema.Forbidden, "secret", "secret"), 403)
	f(schema.Errorf(schema.TooLarge, "", "secret"), 413)
	f(schema.Errorf(schema.Unsupported, "", "secret"), 415)
	f(schema.Errorf(schema.Kind(200), "", "secret"), 500)
	f(fiber.NewError(431, "secret"), 431)
	f(fiber.NewError(200, "secret"), 500)
	f(fiber.NewError(599, "secret"), 500)
	f(context.DeadlineExceeded, 500)
}
