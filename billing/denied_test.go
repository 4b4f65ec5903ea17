package billing_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// keyless answers 403 to calls whose path has a part, as a restricted key gets it, and counts them.
type keyless struct {
	part  string
	calls int
}

func (k *keyless) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, k.part) {
		return http.DefaultTransport.RoundTrip(r)
	}
	k.calls++
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"error":{"type":"invalid_request_error"}}`)),
	}, nil
}

// TestWhatAKeyMayNotAskKeepsNothingElse from being dealt with: a key that may not read events has
// invoices dealt with that are asked for their lines. Where 403 ended all questions of a pass, as
// 401 does, both stayed open behind two thin events: seen before.
func TestWhatAKeyMayNotAskKeepsNothingElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{
		PeriodLength: 6 * time.Hour, InlineLines: 1,
	})
	k := &keyless{part: "/v2/core/events"}
	client, err := billing.NewClient(billing.ClientConfig{
		Key: "rk_test_desk", WebhookSecret: billingtest.Secret, Base: d.stripe.URL,
		Now: d.clock.Now, Transport: k,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(schema.Preaggregated, client)
	d.uses(acme, 3, 100)
	d.clock.Set(at(5))
	d.run()
	const thin = "v1.billing.meter.error_report_triggered"
	for _, id := range []string{"evt_thin1", "evt_thin2"} {
		d.post(billingtest.Notice{Type: thin, Body: []byte(
			`{"id":"` + id + `","object":"v2.core.event","type":"` + thin + `"}`)})
	}
	d.clock.Set(at(6).Add(61 * time.Minute))
	d.post(d.stripe.Notices()...)
	d.deal()
	for _, kind := range []string{"invoice.created", "invoice.finalized"} {
		if got := d.noted(kind); len(got) != 1 || !strings.Contains(got[0], "done: "+kind) ||
			!strings.Contains(got[0], "2 periods") {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := d.noted(thin); len(got) != 2 || !strings.HasPrefix(got[0], "open") || k.calls != 1 {
		t.Errorf("%d calls for events that may not be read, want 1: %q", k.calls, got)
	}
}

// TestDifferencesAreSeenOnEveryNode: of two nodes one compares, and both show what differs at
// Stripe from their next pass on, and no longer than it does. Where each showed what it had found itself,
// the other had 0 at first, and the first 84 in the end: seen before.
func TestDifferencesAreSeenOnEveryNode(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{})
	node := func() (*billing.Reporter, *prometheus.Registry) {
		registry := prometheus.NewRegistry()
		r, err := billing.New(billing.Config{
			Queries: d.q, Stripe: d.client, Mode: schema.Preaggregated, Writer: uuid.New(),
			Now: d.clock.Now, Logger: slog.New(slog.DiscardHandler), Rate: 10_000,
			Metrics: registry,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r, registry
	}
	one, ofOne := node()
	two, ofTwo := node()
	reads := func(registry *prometheus.Registry, line string) {
		t.Helper()
		(&office{TB: t}).measured(registry, line)
	}
	d.uses(acme, 3, 100)
	d.clock.Set(at(5))
	d.reporter = one
	d.run()
	d.clock.Set(at(8))
	d.stripe.Tamper("cus_acme", costMeter, at(3), 16)
	if found, _ := d.reconcile(); len(found) != 2 {
		t.Fatalf("found %q", found)
	}
	reads(ofOne, "difference_units 84")
	d.reporter = two
	d.clock.Advance(61 * time.Minute)
	d.run()
	reads(ofTwo, "difference_units 84")
	d.clock.Set(at(12))
	d.finds(1)
	reads(ofTwo, "difference_units 0")
	d.reporter = one
	d.run()
	reads(ofOne, "difference_units 0")
}
