package raia

import (
	"bytes"
	"compress/gzip"
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
	"github.com/valyala/fasthttp"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const secret = "agent-secret-1"

var (
	organization = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	owner        = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	agent        = uuid.MustParse("12345678-1234-4234-8234-123456789012")
	freshID      = uuid.MustParse("01975c1e-0000-7000-8000-000000000001")
	now          = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
)

// system is what the dialect talks to in these tests: a catalog of one agent, and a recorder
// that keeps what it is given or answers as it is told.
type system struct {
	*access.Directory
	dialect.Recorder
	events  []schema.Event
	receipt dialect.Receipt
	err     error
}

func newSystem() *system {
	return &system{
		receipt: dialect.Receipt{Accepted: 1},
		Directory: access.NewStatic(access.NewSnapshot(schema.Catalog{
			Organizations: []schema.Organization{{ID: organization}},
			Users:         []schema.User{{ID: owner}},
			Memberships: []schema.Membership{
				{Organization: organization, User: owner, Role: schema.Superadmin, Active: true},
			},
			Agents: []schema.Agent{{ID: agent, Organization: organization, Owner: owner}},
			Credentials: []schema.Credential{
				{
					Hash: schema.HashSecret(secret), Kind: schema.AgentSecret,
					Organization: organization, Agent: agent,
				},
				{
					Hash: schema.HashSecret("user-token"), Kind: schema.AccessToken,
					Organization: organization, User: owner,
				},
			},
		})),
	}
}

func (s *system) Record(
	_ context.Context, events []schema.Event, _ bool,
) (dialect.Receipt, error) {
	for _, e := range events {
		e.Measurements = append([]schema.Measurement(nil), e.Measurements...)
		s.events = append(s.events, e)
	}
	return s.receipt, s.err
}

func (s *system) app() *fiber.App {
	d := New(dialect.Door{
		Access:   s,
		Recorder: s,
		Now:      func() time.Time { return now },
		NewID:    func() uuid.UUID { return freshID },
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

func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func post(body string, headers ...string) *http.Request {
	headers = append([]string{"Agent-Secret-Key: " + secret, "Content-Type: application/json"},
		headers...)
	return request(http.MethodPost, "/external/resource-usage", body, headers...)
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
	for _, name := range []string{"Content-Type", "Content-Length", "Retry-After", "Allow"} {
		if v := res.Header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&b, "%s\n", body)
	return b.String()
}

func TestExchanges(t *testing.T) {
	var b strings.Builder
	add := func(name string, s *system, r *http.Request) {
		t.Helper()
		fmt.Fprintf(&b, "== %s\n%s\n", name, exchange(t, s.app(), r))
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
	const path = "/external/resource-usage"
	add("tokens", newSystem(), post(valid))
	add("trailing slash", newSystem(),
		request("POST", path+"/", valid, "agent-secret-key: "+secret))
	add("no secret", newSystem(), request("POST", path, "not even JSON"))
	add("unknown secret", newSystem(), post(valid, "Agent-Secret-Key: nobody's"))
	add("a user's token is no secret", newSystem(), post(valid, "Agent-Secret-Key: user-token"))
	add("bearer", newSystem(), request("POST", path, valid, "Authorization: Bearer "+secret))
	add("empty body", newSystem(), post(""))
	add("bad JSON", newSystem(), post(`{"type":`))
	add("both wrong", newSystem(), post(`{"type":"TOKENS","amount":"4567"}`))
	add("seven decimals", newSystem(), post(`{"type":"VAPI_SECONDS","amount":0.1234567}`))
	add("form", newSystem(), post(valid, "Content-Type: application/x-www-form-urlencoded"))
	add("brotli", newSystem(), post(valid, "Content-Encoding: br"))
	add("not gzip", newSystem(), post(valid, "Content-Encoding: gzip"))
	add("long key", newSystem(), post(valid, "Idempotency-Key: "+strings.Repeat("k", 201)))
	add("too large", newSystem(), post(strings.Repeat(" ", schema.RequestBytesMax+1)))
	add("get", newSystem(), request("GET", path, ""))
	add("unknown path", newSystem(), request("POST", "/external/other", ""))
	add("overloaded", fails(&schema.Error{
		Kind: schema.Overloaded, Message: "too many events are waiting",
		RetryAfter: 1500 * time.Millisecond,
	}), post(valid))
	add("unavailable", fails(&schema.Error{
		Kind: schema.Unavailable, Message: "shutting down",
	}), post(valid))
	add("internal", fails(errors.New("disk /secret/path is full")), post(valid))
	add("rejected amount", rejects("usage.OPENAI_TOKENS"), post(valid))
	add("rejected otherwise", rejects("time"), post(valid))

	const golden = "testdata/exchanges.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("exchanges (-want +got):\n%s", diff)
	}
}

func TestEventCarriesTheKeysAgent(t *testing.T) {
	s := newSystem()
	exchange(t, s.app(), post(`{"type":"VAPI_SECONDS","amount":1.5,"agent":"other"}`))
	want := []schema.Event{{
		Organization: organization,
		ID:           freshID,
		Entry:        schema.Record,
		Time:         now.Truncate(time.Microsecond),
		User:         owner,
		Agent:        agent,
		Chargeable:   true,
		Measurements: []schema.Measurement{
			{UsageType: schema.VapiSeconds, Quantity: quantity(t, "1.5")},
		},
	}}
	diff := cmp.Diff(want, s.events, cmp.Comparer(func(a, b schema.Quantity) bool { return a == b }),
		cmp.Comparer(func(a, b schema.USD) bool { return a == b }))
	if diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestIdempotencyKeyMakesTheID(t *testing.T) {
	s := newSystem()
	app := s.app()
	for range 2 {
		exchange(t, app, post(valid, "Idempotency-Key: call 7"))
	}
	if len(s.events) != 2 || s.events[0].ID != s.events[1].ID ||
		s.events[0].ID != schema.EventID(organization, "call 7") || s.events[0].Key != "call 7" {
		t.Errorf("events %+v", s.events)
	}
}

func TestRefusedRequestRecordsNothing(t *testing.T) {
	s := newSystem()
	app := s.app()
	exchange(t, app, post(`{"type":"OPENAI_TOKENS","amount":-1}`))
	exchange(t, app, post(valid, "Agent-Secret-Key: other"))
	exchange(t, app, post(valid, "Idempotency-Key: "))
	exchange(t, app, post(valid, "Content-Type: text/plain"))
	if len(s.events) != 0 {
		t.Errorf("recorded %+v", s.events)
	}
}

func TestGzipBodyIsRead(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := io.WriteString(w, valid); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := newSystem()
	got := exchange(t, s.app(), post(z.String(), "Content-Encoding: gzip"))
	if !strings.HasPrefix(got, "201\n") || len(s.events) != 1 {
		t.Errorf("got %s, events %+v", got, s.events)
	}
}

func quantity(t *testing.T, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// nowhere takes every event: what remains is the dialect's own work.
type nowhere struct{ dialect.Recorder }

func (nowhere) Record(context.Context, []schema.Event, bool) (dialect.Receipt, error) {
	return dialect.Receipt{Accepted: 1}, nil
}

// BenchmarkCreate is a request from routing to the recorder and back, without the network.
func BenchmarkCreate(b *testing.B) {
	n := nowhere{}
	d := New(dialect.Door{
		Access: newSystem().Directory, Recorder: n,
		Now:   func() time.Time { return now },
		NewID: func() uuid.UUID { return freshID },
	})
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: d.WriteError})
	d.Mount(app)
	handler := app.Handler()
	var c fasthttp.RequestCtx
	c.Request.Header.SetMethod(http.MethodPost)
	c.Request.SetRequestURI("/external/resource-usage")
	c.Request.Header.Set("Agent-Secret-Key", secret)
	c.Request.Header.SetContentType("application/json")
	c.Request.SetBodyString(valid)
	c.Request.Header.SetContentLength(len(valid))
	b.ReportAllocs()
	for b.Loop() {
		handler(&c)
		if c.Response.StatusCode() != http.StatusCreated {
			b.Fatal(c.Response.StatusCode())
		}
	}
}
