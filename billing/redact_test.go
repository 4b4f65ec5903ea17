package billing

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

func TestSecretsAreTakenOutOfTexts(t *testing.T) {
	t.Parallel()
	r := newRedactor("", canaryKey, canarySecret, "of no known form")
	f := func(text, want string) {
		t.Helper()
		if got := r.line(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("key "+canaryKey+"!", "key [redacted]!")
	f("secret "+canarySecret+" it is", "secret [redacted] it is")
	f("a secret of no known form", "a secret [redacted]")
	f("Invalid API Key provided: sk_test_********4242", "Invalid API Key provided: [redacted]")
	f(`{"key":"rk_live_51Habc"}`, `{"key":"[redacted]"}`)
	f("old_sk_live_51Habc", "old_[redacted]")
	f("PK_TEST_x", "[redacted]")
	f("whsec_c2VjcmV0+/==", "[redacted]")
	f("sk_51Habc", "[redacted]")
	f("task_1 and risk_score", "task_1 and risk_score")
	f("a\r\n\tb\x00c\u2028d\xff", "a b c d?")
}

// leaky answers with the caller's own credentials wherever an answer has room for them, as a proxy
// that explains itself might.
func leaky(status int, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		quoted := r.Header.Get("Authorization") + " " + canarySecret + " " + otherSecret
		w.Header().Set("Request-Id", "req_"+canaryKey)
		w.Header().Set("Location", "http://"+canaryKey+".example/"+canaryKey)
		w.WriteHeader(status)
		switch kind {
		case "error":
			_, _ = fmt.Fprintf(w, `{"error":{"type":%[1]q,"code":%[1]q,"param":%[1]q,`+
				`"message":%[1]q,"request_log_url":%[1]q}}`, quoted)
		case "page":
			_, _ = fmt.Fprintf(w, "<html>%s</html>", quoted)
		default:
			_, _ = fmt.Fprintf(w, `{"data":[{"id":%[1]q,"aggregated_value":%[1]q,`+
				`"total_usage":%[1]q,"quantity":%[1]q}],"has_more":%[2]s}`, quoted, kind)
		}
	}
}

// Without the redactor in answer the details and request ids quoted the key; in unreadable, the
// errors of the readers; in the log, its lines of paths. Passed on, stripe-go's own errors were
// logged with the Authorization header.
func TestNoPathTellsASecret(t *testing.T) {
	t.Parallel()
	f := func(name string, c *Client) {
		ctx := t.Context()
		for _, mode := range []schema.ReportMode{schema.Preaggregated, schema.UsageRecord} {
			noCanary(t, name+": send", fmt.Sprintf("%+v", c.Send(ctx, delivery(mode))))
		}
		p := SummaryParams{Meter: canaryKey, Customer: canaryKey, To: atNoon}
		p.From = p.To.Add(-time.Hour)
		_, errMeter := c.MeterID(ctx, "usage")
		_, errSummaries := c.Summaries(ctx, p)
		_, errRecords := c.Records(ctx, canaryKey)
		_, errLines := c.Lines(ctx, canaryKey)
		_, errProblems := c.Problems(ctx, canaryKey)
		_, errNotice := c.Notice([]byte(canaryKey), canarySecret)
		err := errors.Join(
			errMeter, errSummaries, errRecords, errLines, errProblems, errNotice)
		noCanary(t, name+": errors", fmt.Sprintf("%v %+v %#v", err, err, err))
		for ; err != nil; err = errors.Unwrap(err) {
			noCanary(t, name, err.Error())
		}
	}
	for _, status := range []int{200, 302, 400, 401, 404, 429, 500} {
		for _, kind := range []string{"error", "page", "true", "false"} {
			name := fmt.Sprint(status, " ", kind)
			f(name, newClient(t, leaky(status, kind)))
		}
	}
	for name, serve := range lost(t) {
		if name != "late" && name != "too long" {
			f(name, newClient(t, serve))
		}
	}
	f("transport", clientOf(t, ClientConfig{Base: "https://stripe.example", Transport: failing{}}))
}

// failing is a transport whose error has what it was to carry.
type failing struct{}

func (failing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("proxy: %s %v", r.URL, r.Header)
}

func TestClientPrintsNothingOfWhatItHolds(t *testing.T) {
	t.Parallel()
	settings := ClientConfig{Key: canaryKey, WebhookSecret: canarySecret}
	c := clientOf(t, ClientConfig{})
	type holder struct {
		C *Client
		S ClientConfig
	}
	held := holder{c, settings}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{c, settings, &settings, held, &held} {
			noCanary(t, verb, fmt.Sprintf(verb, v))
		}
	}
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	log.Info("held", "client", c, "settings", settings, "both", held)
	noCanary(t, "slog", text.String())
	text.Reset()
	slog.New(slog.NewJSONHandler(&text, nil)).Info("held", "client", c, "settings", settings)
	noCanary(t, "slog as JSON", text.String())
}
