package memori

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

// Acme has a superadmin, an admin and a member; Other has its own admin. Ben's agent and Cleo's
// agent are Acme's, the third is Other's (and owned by Ben, who is a member there too).
var (
	acme  = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	other = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e66")

	ada  = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11") // superadmin
	ben  = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d22") // admin
	cleo = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d33") // member
	dan  = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d44") // Other's admin
	eve  = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d55") // no longer active

	bensAgent  = uuid.MustParse("12345678-1234-4234-8234-123456789022")
	cleosAgent = uuid.MustParse("12345678-1234-4234-8234-123456789033")
	foreign    = uuid.MustParse("12345678-1234-4234-8234-1234567890ff")

	now = time.Date(2026, 11, 21, 22, 8, 56, 915_999_999, time.UTC)
)

func newCatalog() *access.Directory {
	c := schema.Catalog{
		Organizations: []schema.Organization{
			{ID: acme, Tenant: "www.acme.example"}, {ID: other, Tenant: "other.example"},
		},
		Agents: []schema.Agent{
			{ID: bensAgent, Organization: acme, Name: "Zoe", Owner: ben},
			{ID: cleosAgent, Organization: acme, Name: "Helper", Owner: cleo},
			{ID: foreign, Organization: other, Owner: cleo},
		},
	}
	member := func(o, u uuid.UUID, name string, role schema.Role, active bool) {
		c.Users = append(c.Users, schema.User{ID: u, Name: name})
		c.Memberships = append(c.Memberships,
			schema.Membership{Organization: o, User: u, Role: role, Active: active})
		for _, kind := range []schema.CredentialKind{schema.LoginToken, schema.AccessToken} {
			secret := fmt.Sprint(strings.ToLower(name), kind)
			c.Credentials = append(c.Credentials, schema.Credential{Kind: kind,
				Hash: schema.HashSecret(secret), Organization: o, User: u})
		}
	}
	member(acme, ada, "Ada", schema.Superadmin, true)
	member(acme, ben, "Ben", schema.Admin, true)
	member(acme, cleo, "Cleo", schema.Member, true)
	member(other, dan, "Dan", schema.Admin, true)
	member(acme, eve, "Eve", schema.Superadmin, false)
	return access.NewStatic(access.NewSnapshot(c))
}

type reader struct {
	dialect.Reader
	asked  []dialect.ConsumptionLogsParams
	answer []dialect.Consumption
	err    error
}

func (r *reader) ConsumptionLogs(
	_ context.Context, p dialect.ConsumptionLogsParams, each func(dialect.Consumption) error,
) error {
	r.asked = append(r.asked, p)
	for _, row := range r.answer {
		if err := each(row); err != nil {
			return err
		}
	}
	return r.err
}

func newApp(r dialect.Reader) *fiber.App {
	d := New(dialect.Door{
		Access: newCatalog(),
		Reader: r,
		Now:    func() time.Time { return now },
	})
	app := fiber.New(fiber.Config{StreamRequestBody: true, ErrorHandler: d.WriteError})
	d.Mount(app)
	return app
}

// request is what the published client sends; the target may be no URL.
func request(method, target string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	r.RequestURI = target
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "*/*")
	return r
}

func send(t *testing.T, app *fiber.App, r *http.Request) (*http.Response, []byte) {
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
	return answer, body
}

// exchange sends a request and returns what came back as text: status, headers, body.
func exchange(t *testing.T, app *fiber.App, r *http.Request) string {
	t.Helper()
	answer, body := send(t, app, r)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n%d\n", r.Method, r.RequestURI, answer.StatusCode)
	for _, name := range []string{
		"Content-Type", "Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
		"Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
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

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestExchanges(t *testing.T) {
	row := dialect.Consumption{Start: day("2026-01-31"), User: cleo, Agent: cleosAgent,
		UsageType: schema.Input, Provider: "OpenAI", ProviderEndpoint: "https://api.openai.com/v1",
		ProviderKey: "sk-…abcd", Model: "gpt-4o", Chargeable: true, Purpose: "QA",
		Quantity: schema.WholeQuantity(1234)}
	output := row
	output.UsageType, output.Quantity = schema.Output, schema.WholeQuantity(321)
	sessions := dialect.Consumption{Start: day("2026-01-31"), UsageType: schema.Sessions,
		Quantity: schema.WholeQuantity(2)}
	rows := []dialect.Consumption{row, output, sessions}
	f := func(name string, r *reader, req *http.Request, origin string) {
		t.Helper()
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		golden(t, name, exchange(t, newApp(r), req))
	}

	const tenant = "/api/v2/TenantConsumptionLogs/ada2/www.acme.example/"
	f("daily", &reader{answer: rows}, request("GET", tenant+"Daily/20260131/20260131"), "")
	month := row
	month.Start = day("2026-01-01")
	f("monthly", &reader{answer: []dialect.Consumption{month}}, request("GET", tenant+"monthly"), "")
	f("no_rows", &reader{}, request("GET", tenant+"Daily"), "https://app.example")
	f("session_not_found", &reader{}, request("GET",
		"/api/v2/UserConsumptionLogs/secret/"+cleo.String()+"/Daily"), "https://app.example")
	f("unknown_route", &reader{}, request("GET", "/api/v2/Login/secret"), "https://app.example")
	f("wrong_method", &reader{}, request("POST", tenant+"Daily"), "")
	f("internal", &reader{err: errors.New("10.0.0.1: broken")},
		request("GET", tenant+"Daily"), "")
	f("overloaded", &reader{err: schema.Errorf(schema.Overloaded, "", "try again later")},
		request("GET", tenant+"Daily"), "")
	f("preflight", &reader{}, request("OPTIONS", tenant+"Daily"), "https://app.example")
}

// asked sends a GET and returns the result code and what the reader was asked.
func asked(t *testing.T, target string) (int32, []dialect.ConsumptionLogsParams) {
	t.Helper()
	r := &reader{}
	answer, body := send(t, newApp(r), request("GET", target))
	var list listResponse
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("%s: %v in %q", target, err, body)
	}
	if answer.StatusCode != http.StatusOK || list.RequestID != 1 {
		t.Errorf("%s: status %d, request %d", target, answer.StatusCode, list.RequestID)
	}
	if ok := list.ResultCode == codeOK; ok != (list.ConsumptionLogs != nil) ||
		ok != (list.ResultMessage == messageOK) {
		t.Errorf("%s: %s", target, body)
	}
	return list.ResultCode, r.asked
}

func TestWhoReadsWhoseLogs(t *testing.T) {
	f := func(route, token, name string, want int32) {
		t.Helper()
		code, params := asked(t, "/api/v2/"+route+"ConsumptionLogs/"+token+"/"+name+"/Daily")
		if code != want || len(params) > 0 != (want == codeOK) {
			t.Errorf("%s of %s by %s: %d, want %d; asked %v",
				route, name, token, code, want, params)
		}
		for _, p := range params {
			if p.Organization != acme && token != "dan2" {
				t.Errorf("%s of %s by %s: asked about %v", route, name, token, p.Organization)
			}
			if route != "Tenant" && (p.User == uuid.Nil) == (p.Agent == uuid.Nil) {
				t.Errorf("%s of %s by %s: asked for %v", route, name, token, p)
			}
		}
	}
	unknown := "00000000-0000-4000-8000-000000000001"
	for _, admin := range []string{"ada2", "ben2"} {
		f("Tenant", admin, "www.acme.example", codeOK)
		f("Tenant", admin, "other.example", codeNotAdministrative)
		f("Tenant", admin, "unknown.example", codeTenantNotFound)
		f("User", admin, ada.String(), codeOK)
		f("User", admin, cleo.String(), codeOK)
		f("User", admin, dan.String(), codeNotAdministrative)
		f("User", admin, eve.String(), codeNotAdministrative)
		f("User", admin, unknown, codeUserNotFound)
		f("User", admin, uuid.Nil.String(), codeUserNotFound)
		f("Memori", admin, bensAgent.String(), codeOK)
		f("Memori", admin, cleosAgent.String(), codeOK)
		f("Memori", admin, foreign.String(), codeMemoriNotAccessible)
		f("Memori", admin, unknown, codeMemoriNotFound)
		f("Memori", admin, uuid.Nil.String(), codeMemoriNotFound)
	}
	for _, tenant := range []string{"www.acme.example", "other.example", "unknown.example"} {
		f("Tenant", "cleo2", tenant, codeNotAdministrative)
	}
	f("User", "cleo2", cleo.String(), codeOK)
	f("User", "cleo2", strings.ToUpper(cleo.String()), codeOK)
	f("User", "cleo2", ben.String(), codeNotAdministrative)
	f("User", "cleo2", unknown, codeNotAdministrative)
	f("Memori", "cleo2", cleosAgent.String(), codeOK)
	f("Memori", "cleo2", bensAgent.String(), codeNotAdministrative)
	f("Memori", "cleo2", foreign.String(), codeMemoriNotAccessible) // owned, but elsewhere
	f("Memori", "cleo2", unknown, codeMemoriNotFound)
	f("Memori", "dan2", foreign.String(), codeOK)
	f("Memori", "dan2", cleosAgent.String(), codeMemoriNotAccessible)
	for _, token := range []string{"nobody", "ada4", "eve2", "%00", "%zz", "%20"} {
		f("Tenant", token, "www.acme.example", codeSessionNotFound)
		f("User", token, cleo.String(), codeSessionNotFound)
		f("Memori", token, cleosAgent.String(), codeSessionNotFound)
	}
}

func TestRoutes(t *testing.T) {
	f := func(target string, want int32) {
		t.Helper()
		if code, _ := asked(t, target); code != want {
			t.Errorf("%s: %d, want %d", target, code, want)
		}
	}
	const ok = "/api/v2/TenantConsumptionLogs/ada2/www.acme.example/Daily"
	f(ok, codeOK)
	f(ok+"/", codeOK)
	f(ok+"/20260101", codeOK)
	f(ok+"/20260101/", codeOK)
	f(ok+"/20260101/20260131", codeOK)
	f(ok+"/20260101/20260131/", codeOK)
	f("/API/V2/tenantconsumptionLOGS/ada2/www.acme.example/DAILY", codeOK)
	f("/api/v2/TenantConsumptionLogs/%61da2/www%2Eacme.example/D%61ily/2026%30101", codeOK)
	f(ok+"?x=1", codeOK)
	f(ok+"/20260101/20260131/x", 404)
	f(ok+"//20260131", 404)
	f("/api/v2/TenantConsumptionLogs/ada2/www.acme.example", 404)
	f("/api/v2/TenantConsumptionLogs/ada2", 404)
	f("/api/v2/TenantConsumptionLogs/", 404)
	f("/api/v2/TenantConsumptionLogs", 404)
	f("/api/v2/TenantConsumptionLogs//www.acme.example/Daily", 404)
	f("/api/v2/TenantConsumptionLog/ada2/www.acme.example/Daily", 404)
	f("/api/v2/", 404)
}

func TestValidationOrder(t *testing.T) {
	f := func(target string, want int32) {
		t.Helper()
		code, params := asked(t, "/api/v2/"+target)
		if code != want || len(params) > 0 {
			t.Errorf("%s: %d, want %d; asked %v", target, code, want, params)
		}
	}
	f("UserConsumptionLogs/x/x/x/x/x", codeSessionNotFound)
	f("UserConsumptionLogs/ada2/x/x/x/x", codeInvalidType)
	f("UserConsumptionLogs/ada2/x/Daily/x/x", codeInvalidDateFrom)
	f("UserConsumptionLogs/ada2/x/Daily/20260101/x", codeInvalidDateTo)
	f("UserConsumptionLogs/ada2/x/Daily/20260101/20260101", codeInvalidUserID)
	f("MemoriConsumptionLogs/ada2/x/Daily/20260101/20260101", codeInvalidMemoriID)
	f("TenantConsumptionLogs/ada2/x/Daily/20260101/20260101", codeTenantNotFound)
	f("TenantConsumptionLogs/ada2/x/Daily/20260131/20260101", codeTenantNotFound)
	f("TenantConsumptionLogs/ada2/www.acme.example/Daily/20260131/20260101", codeOK)
	f("TenantConsumptionLogs/ada2/www.acme.example/Daily/20260230", codeInvalidDateFrom)
}

func TestRequestsAreNumbered(t *testing.T) {
	app := newApp(&reader{})
	for want := int64(1); want <= 4; want++ {
		target := "/api/v2/TenantConsumptionLogs/ada2/www.acme.example/Daily"
		if want%2 == 0 {
			target = "/api/v2/nothing"
		}
		var list listResponse
		_, body := send(t, app, request("GET", target))
		if err := json.Unmarshal(body, &list); err != nil || list.RequestID != want {
			t.Errorf("request %d: %v, %s", want, err, body)
		}
	}
}

func TestErrorsShowNeitherTokenNorInternals(t *testing.T) {
	f := func(err error, want int32) {
		t.Helper()
		code, message := encodeError(err)
		if code != want || message == "" || strings.Contains(message, "secret") {
			t.Errorf("%v: %d %q", err, code, message)
		}
	}
	f(errors.New("secret"), 500)
	f(context.DeadlineExceeded, 500)
	f(schema.Errorf(schema.Internal, "secret", "secret"), 500)
	f(schema.Errorf(schema.Kind(200), "", "secret"), 500)
	f(fiber.NewError(404, "Cannot GET /api/v2/secret"), 404)
	f(fiber.NewError(413, "secret"), 413)
	f(fiber.NewError(200, "secret"), 500)
	f(fiber.NewError(799, "secret"), 500)
	f(schema.Errorf(schema.Invalid, "", "too wide"), 422)
	f(schema.Errorf(schema.Forbidden, "", "no"), 403)
	f(schema.Errorf(schema.Unavailable, "", "try later"), 503)
	f(schema.Errorf(schema.Unauthenticated, "strToken", "secret"), codeSessionNotFound)
}
