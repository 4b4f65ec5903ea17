package otlp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Who there is: two organizations; acme has an admin, a member and three agents, two of one name.
var (
	acme   = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	other  = uuid.MustParse("99999999-63a9-4a0e-9a3b-1d6a2a1f9e55")
	ada    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	bob    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d12")
	eve    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d13") // of the other organization
	helper = uuid.MustParse("12345678-1234-4234-8234-123456789012") // Bob's
	twin   = uuid.MustParse("12345678-1234-4234-8234-123456789013")
	double = uuid.MustParse("12345678-1234-4234-8234-123456789014")
	alien  = uuid.MustParse("12345678-1234-4234-8234-123456789015") // of the other organization

	noon = time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)

	adas    = access.Caller{Organization: acme, User: ada, Role: schema.Admin}
	bobs    = access.Caller{Organization: acme, User: bob, Role: schema.Member}
	helpers = access.Caller{Organization: acme, User: bob, Agent: helper}
)

func catalog() *access.Snapshot {
	rate := func(model, usageType string) schema.Rate {
		return schema.Rate{ID: uuid.New(), Model: model, UsageType: usageType}
	}
	return access.NewSnapshot(schema.Catalog{
		Organizations: []schema.Organization{{ID: acme, Name: "Acme"}, {ID: other, Name: "Other"}},
		Users:         []schema.User{{ID: ada}, {ID: bob}, {ID: eve}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Admin, Active: true},
			{Organization: acme, User: bob, Role: schema.Member, Active: true},
			{Organization: other, User: eve, Role: schema.Superadmin, Active: true},
		},
		Agents: []schema.Agent{
			{ID: helper, Organization: acme, Name: "Helper", Owner: bob},
			{ID: twin, Organization: acme, Name: "Twin"},
			{ID: double, Organization: acme, Name: "Twin"},
			{ID: alien, Organization: other, Name: "Alien"},
		},
		Credentials: []schema.Credential{{
			Hash: schema.HashSecret("ada-token"), Kind: schema.AccessToken,
			Organization: acme, User: ada,
		}},
		Rates: []schema.Rate{
			rate("gpt-4o", schema.Input), rate("gpt-4o-2024-08-06", schema.Input),
			rate("only-answered", schema.Output),
		},
	})
}

// recorder is a ledger that answers what a test tells it to.
type recorder struct {
	events  []schema.Event
	receipt dialect.Receipt
	err     error
}

func (r *recorder) Record(
	_ context.Context, events []schema.Event, _ bool,
) (dialect.Receipt, error) {
	r.events = append(r.events, events...)
	return r.receipt, r.err
}

func (r *recorder) WaitStored(context.Context, uuid.UUID, uint64) error { return nil }

// exchange sends a body with ada's token, or with none where the media type ends in "!".
func exchange(t *testing.T, ledger *recorder, mediaType, body string) *http.Response {
	t.Helper()
	d := New(dialect.Door{Access: access.NewStatic(catalog()), Recorder: ledger})
	app := fiber.New(fiber.Config{StreamRequestBody: true, ErrorHandler: d.WriteError})
	d.Mount(app)
	r := httptest.NewRequest("POST", tracesPath, strings.NewReader(body))
	if mediaType, ok := strings.CutSuffix(mediaType, "!"); ok {
		r.Header.Set("Content-Type", mediaType)
	} else {
		r.Header.Set("Content-Type", mediaType)
		r.Header.Set("Authorization", "Bearer ada-token")
	}
	answer, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func bodyOf(t *testing.T, answer *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const chat = `{"key":"gen_ai.usage.input_tokens","value":{"intValue":"7"}}`

func TestAnswersAreInTheRequestsEncoding(t *testing.T) {
	good := inOneSpan(chat)
	wait := &schema.Error{Kind: schema.Overloaded, Message: "full", RetryAfter: 3 * time.Second}
	down := &schema.Error{Kind: schema.Unavailable, Message: "down", RetryAfter: time.Second}
	f := func(ledger *recorder, mediaType, body string, status int, retry, as, want string) {
		t.Helper()
		answer := exchange(t, ledger, mediaType, body)
		got := bodyOf(t, answer)
		if answer.StatusCode != status || got != want ||
			answer.Header.Get("Content-Type") != as || answer.Header.Get("Retry-After") != retry {
			t.Errorf("%d %v %q, want %d %q", answer.StatusCode, answer.Header, got, status, want)
		}
	}
	const pb, js = mimeProtobuf, mimeJSON
	none := &recorder{}
	f(none, js, good, 200, "", js, `{}`)
	f(none, js+"; charset=utf-8", good, 200, "", js, `{}`)
	f(none, pb, inProto(t, good), 200, "", pb, "")
	f(none, pb, "", 200, "", pb, "")
	f(none, js, `{}`, 200, "", js, `{}`)
	f(none, js, ``, 400, "", js, `{"code":3,"message":`+
		`"the body is not an ExportTraceServiceRequest in OTLP's JSON"}`)
	f(none, pb, "\x0a", 400, "", pb, "\x08\x03\x12\x38"+
		"the body is not an ExportTraceServiceRequest in protobuf")
	f(none, js+"!", good, 401, "", js,
		`{"code":16,"message":"send Authorization: Bearer or Agent-Secret-Key"}`)
	f(none, "text/plain", good, 415, "", js, `{"code":3,"message":`+
		`"Content-Type: must be application/x-protobuf or application/json"}`)
	f(&recorder{err: wait}, js, good, 429, "3", js, `{"code":8,"message":"full"}`)
	f(&recorder{err: wait}, pb, inProto(t, good), 429, "3", pb, "\x08\x08\x12\x04full")
	f(&recorder{err: down}, js, good, 503, "1", js, `{"code":14,"message":"down"}`)
	f(&recorder{err: fmt.Errorf("secret")}, js, good, 500, "", js,
		`{"code":13,"message":"Internal Server Error"}`)
}

func TestRejectionsAreAPartialSuccess(t *testing.T) {
	refused := schema.Errorf(schema.Invalid, "time", "must be at most 400 days back")
	ledger := &recorder{receipt: dialect.Receipt{
		Accepted: 1, Rejected: []dialect.Rejection{{Index: 1, Err: refused}},
	}}
	bad := `{"key":"gen_ai.usage.input_tokens","value":{"intValue":"-1"}}`
	body := inSpans(spanOfID(1, chat), spanOfID(2, bad), spanOfID(3, chat))
	answer := exchange(t, ledger, mimeJSON, body)
	want := `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"2 of 3 spans with usage were ` +
		`rejected: span 0000000000000002: gen_ai.usage.input_tokens: must not be negative; ` +
		`span 0000000000000003: end_time_unix_nano: must be at most 400 days back"}}`
	if got := bodyOf(t, answer); answer.StatusCode != 200 || got != want {
		t.Errorf("%d %s", answer.StatusCode, got)
	}
	if len(ledger.events) != 2 {
		t.Errorf("%d events were recorded", len(ledger.events))
	}
	var spans []string
	for i := range 100 {
		spans = append(spans, spanOfID(i+1, bad))
	}
	got := bodyOf(t, exchange(t, &recorder{}, mimeJSON, inSpans(spans...)))
	if !strings.HasSuffix(got, `; and 95 more"}}`) || len(got) > 1000 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestNothingIsRecordedOfARefusedRequest(t *testing.T) {
	ledger := &recorder{}
	f := func(mediaType, body string, want int) {
		t.Helper()
		if got := exchange(t, ledger, mediaType, body); got.StatusCode != want {
			t.Errorf("%d, want %d", got.StatusCode, want)
		}
		if len(ledger.events) > 0 {
			t.Fatal("events were recorded")
		}
	}
	spans := make([]string, schema.RequestEventsMax+1)
	for i := range spans {
		spans[i] = spanOfID(i+1, chat)
	}
	f(mimeJSON, inSpans(spans...), 413)
	f(mimeProtobuf, inProto(t, inSpans(spans...)), 413)
	f(mimeJSON, inSpans(spans[:2]...)+"x", 400)
	f(mimeProtobuf, inProto(t, inSpans(spans[:2]...))+"\x0a\x05", 400)
	f(mimeJSON+"!", inSpans(spans[:2]...), 401)
	if exchange(t, ledger, mimeJSON, inSpans(spans[1:]...)); len(ledger.events) != len(spans)-1 {
		t.Errorf("%d events of as many as a request may have", len(ledger.events))
	}
}

func TestErrorsShowNothingOfOurs(t *testing.T) {
	f := func(err error, status int, message string) {
		t.Helper()
		if got, text := encodeError(fmt.Errorf("secret: %w", err)); got != status || text != message {
			t.Errorf("%v: %d %q", err, got, text)
		}
	}
	const ours = "Internal Server Error"
	f(io.ErrUnexpectedEOF, 500, ours)
	f(schema.Errorf(schema.Internal, "", "secret"), 500, ours)
	f(schema.Errorf(schema.Conflict, "", "secret"), 500, ours) // none of this API's
	f(schema.Errorf(schema.Forbidden, "a", "b"), 403, "a: b")
	f(fiber.NewError(405, "secret"), 405, "Method Not Allowed")
	f(fiber.NewError(200, "secret"), 500, ours)
	f(fiber.NewError(999, "secret"), 500, ours)
}
