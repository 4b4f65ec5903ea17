package billing

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"github.com/meterhouse/meterhouse/schema"
)

// said is what a server of the verdict table answers with.
type said struct {
	status int
	header string // Name: value, with | between
	body   string
}

func (s said) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	for part := range strings.SplitSeq(s.header, "|") {
		if name, value, ok := strings.Cut(part, ": "); ok {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// stripeError is an error as Stripe writes it.
func stripeError(kind, code, message string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"message":%q}}`, kind, code, message)
}

const invalid = "invalid_request_error"

// row is a line of the verdict table: what Stripe answers, what stripe-go makes of it, and what
// that means for the revision.
type row struct {
	name  string
	said  said
	gives string // the type of stripe-go's *Error; empty: it is another error, or none
	want  Answer // without HTTPStatus and Detail
}

// verdictTable has every answer that Stripe is known to give.
func verdictTable() []row {
	event := `{"object":"billing.meter_event","identifier":"i"}`
	rejected := Answer{Verdict: schema.Rejected}
	unknown := Answer{Verdict: schema.Unknown}
	foreign := Answer{Verdict: schema.Unknown, Silent: true}
	retry := Answer{Verdict: schema.Retry}
	limited := Answer{Ends: schema.RunLimited}
	halted := Answer{Ends: schema.RunHalted}
	duplicate := Answer{Verdict: schema.Duplicate}
	duplicateText := "An event already exists with identifier mh1-1."
	conflict := Answer{Verdict: schema.KeyConflict}
	html := "<html><body>Bad Gateway</body></html>"
	return []row{
		{"taken", said{200, "", event}, "", Answer{Verdict: schema.Accepted}},
		{"taken, replayed", said{200, "Idempotent-Replayed: true", event}, "",
			Answer{Verdict: schema.Accepted}},
		{"executed, answer not readable", said{200, "", "{"}, "", unknown},
		{"200 of somebody else", said{200, "", `{"hello":"world"}`}, "", unknown},
		{"200 with an error in it", said{200, "", stripeError("api_error", "", "no")}, "", unknown},
		{"200 with nothing", said{200, "", ""}, "", unknown},

		{"identifier known", said{400, "Stripe-Should-Retry: false",
			stripeError(invalid, "", duplicateText)}, invalid, duplicate},
		{"identifier known, by code", said{400, "",
			stripeError("", "duplicate_meter_event", "no")}, "", duplicate},
		{"key with other contents", said{400, "",
			stripeError("idempotency_error", "", "Keys for idempotent requests can only be…")},
			"idempotency_error", conflict},
		{"key in use", said{409, "Stripe-Should-Retry: true",
			stripeError("idempotency_error", "idempotency_key_in_use", "another request")},
			"idempotency_error", retry},
		{"limited", said{429, "Retry-After: 7", stripeError(invalid, "rate_limit", "slow")},
			invalid, Answer{Ends: schema.RunLimited, RetryAfter: 7 * time.Second}},
		{"limited until a time", said{429, "Retry-After: Sun, 22 Nov 2026 12:01:00 GMT",
			stripeError("rate_limit_error", "", "slow")}, "rate_limit_error",
			Answer{Ends: schema.RunLimited, RetryAfter: time.Minute}},
		{"limited until a time that was", said{429, "Retry-After: Sun, 22 Nov 2026 11:59:00 GMT",
			stripeError(invalid, "rate_limit", "slow")}, invalid, limited},
		{"limited for ever", said{429, "Retry-After: 4294967295",
			stripeError(invalid, "rate_limit", "slow")}, invalid,
			Answer{Ends: schema.RunLimited, RetryAfter: 24 * time.Hour}},
		{"limited, told to retry", said{429, "Stripe-Should-Retry: true|Retry-After: soon",
			stripeError(invalid, "rate_limit", "slow")}, invalid, limited},
		{"limited by a proxy", said{429, "", html}, "", Answer{
			Ends: schema.RunLimited, Silent: true}},
		{"one object is locked", said{429, "Retry-After: 1",
			stripeError(invalid, "lock_timeout", "locked")}, invalid,
			Answer{Verdict: schema.Retry, RetryAfter: time.Second}},
		{"one object is limited", said{429, "Stripe-Rate-Limited-Reason: resource-specific",
			stripeError(invalid, "rate_limit", "slow")}, invalid, retry},

		{"key refused", said{401, "", stripeError(invalid, "", "Invalid API Key")}, invalid, halted},
		{"key without the right", said{403, "", stripeError(invalid, "", "may not")}, invalid, halted},
		{"a proxy's own 401", said{401, "", html}, "", foreign},
		{"unpaid", said{402, "", stripeError("card_error", "card_declined", "no")},
			"card_error", rejected},
		{"not found", said{404, "", stripeError(invalid, "resource_missing", "No such item")},
			invalid, rejected},
		{"a proxy's own 404", said{404, "", html}, "", foreign},
		{"400 without an error", said{400, "", `{"message":"no"}`}, "", foreign},
		{"too old", said{400, "", stripeError(invalid, "timestamp_too_far_in_past",
			"The event timestamp cannot be more than 35 days in past")}, invalid, rejected},
		{"told to retry", said{400, "Stripe-Should-Retry: true",
			stripeError(invalid, "", "for now")}, invalid, retry},

		{"Stripe's error", said{500, "Stripe-Should-Retry: false",
			stripeError("api_error", "", "sorry")}, "api_error", unknown},
		{"Stripe's error, replayed", said{500, "Idempotent-Replayed: true",
			stripeError("api_error", "", "sorry")}, "api_error", Answer{Verdict: schema.Rotate}},
		{"a page, replayed", said{502, "Idempotent-Replayed: true", html}, "",
			Answer{Verdict: schema.Rotate, Silent: true}},
		{"bad gateway", said{502, "", html}, "", foreign},
		{"overloaded", said{503, "Retry-After: 5|Stripe-Should-Retry: true",
			stripeError("api_error", "", "later")}, "api_error",
			Answer{Verdict: schema.Unknown, RetryAfter: 5 * time.Second}},
		{"timed out inside", said{504, "", stripeError("api_error", "", "late")},
			"api_error", unknown},

		{"redirect", said{302, "Location: /v1/elsewhere", ""}, "", foreign},
		{"redirect that keeps the method", said{307, "Location: /v1/elsewhere", ""}, "", foreign},
		{"304", said{304, "", ""}, "", foreign},
		{"300 with all that a success has", said{300, "", event}, "", foreign},
	}
}

// Every row is one request: with stripe-go's own tries allowed, some of them were three. Without
// CheckRedirect's error the two redirects were followed until the call's time was over; without
// the looks at the status and at the object, "300 with all that a success has" and "200 of
// somebody else" were Accepted.
func TestVerdictTable(t *testing.T) {
	t.Parallel()
	for _, row := range verdictTable() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				row.said.serve(w, r)
			})
			got := c.Send(t.Context(), delivery(schema.Preaggregated))
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
			if (got.Detail == "") != (got.Verdict == schema.Accepted) {
				t.Errorf("detail %q", got.Detail)
			}
			row.want.HTTPStatus, row.want.Detail = uint16(row.said.status), got.Detail
			if d := cmp.Diff(row.want, got); d != "" {
				t.Error(d)
			}
			_, r := c.call(t.Context(), "POST", "/v1/billing/meter_events", apiVersion, params())
			kind := ""
			if r.refusal != nil {
				kind = r.refusal.kind
			}
			if kind != row.gives {
				t.Errorf("stripe-go gives %q", kind)
			}
		})
	}
}

// lost are the ways in which an answer does not come.
func lost(t *testing.T) map[string]http.HandlerFunc {
	t.Helper()
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	return map[string]http.HandlerFunc{
		"closed":            hijack(""),
		"cut":               hijack("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"object\":"),
		"cut in the header": hijack("HTTP/1.1 200 OK\r\nContent-"),
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"object":"billing.meter_event","more":"`)
			_, _ = io.WriteString(w, strings.Repeat("x", answerBytesMax)+`"}`)
		},
		"late": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	}
}

// Without the bound, "too long" was Accepted after all of it was read; without Timeout, "late" took
// as long as the default.
func TestLostAnswersSayNothing(t *testing.T) {
	t.Parallel()
	came := map[string]uint16{"cut": 200, "too long": 200}
	for name, serve := range lost(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(serve)
			t.Cleanup(server.Close)
			c := clientOf(t, ClientConfig{Base: server.URL, Timeout: 10 * time.Second})
			if name == "late" {
				c = clientOf(t, ClientConfig{Base: server.URL, Timeout: 50 * time.Millisecond})
			}
			began := time.Now()
			got := c.Send(t.Context(), delivery(schema.Preaggregated))
			if waited := time.Since(began); waited > callTimeout/2 {
				t.Errorf("waited for %s", waited)
			}
			want := Answer{Verdict: schema.Unknown, Silent: came[name] == 0,
				HTTPStatus: came[name], Detail: got.Detail}
			if d := cmp.Diff(want, got); d != "" || got.Detail == "" {
				t.Errorf("%q %s", got.Detail, d)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close() // nobody listens there now
		c := clientOf(t, ClientConfig{Base: "http://" + listener.Addr().String()})
		got := c.Send(t.Context(), delivery(schema.Preaggregated))
		if got.Verdict != schema.Unknown || !got.Silent || got.HTTPStatus != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDetailIsOneShortLineInStripesWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä\n", 400)
	c := newClient(t, said{404, "Request-Id: req_9", `{"error":{"type":"` + invalid +
		`","code":"resource_missing","param":"customer","message":"No such customer: 'cus_1'"}}`,
	}.serve)
	got := c.Send(t.Context(), delivery(schema.Preaggregated))
	if got.Detail != "404: resource_missing: customer: No such customer: 'cus_1'" ||
		got.RequestID != "req_9" {
		t.Errorf("%+v", got)
	}
	c = newClient(t, said{400, "", stripeError(invalid, "", long)}.serve)
	got = c.Send(t.Context(), delivery(schema.Preaggregated))
	if len(got.Detail) > detailMax || len(got.Detail) < detailMax-3 ||
		strings.ContainsRune(got.Detail, '\n') || !strings.HasSuffix(got.Detail, "ä…") &&
		!strings.HasSuffix(got.Detail, " …") {
		t.Errorf("%d bytes: %q", len(got.Detail), got.Detail)
	}
}

// params are those of a call that only its answer matters of.
func params() *stripe.Params {
	return &stripe.Params{IdempotencyKey: stripe.String("k")}
}
