package billing_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// problems answers every question for an event with one body.
type problems struct{ body string }

func (p *problems) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/v2/core/events") {
		return http.DefaultTransport.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(p.body)),
	}, nil
}

// TestAnOlderDifferenceIsRefused: in mode raw every revision counts, so that one which Stripe
// reports after the next was accepted is told again, once, though two nodes deal with the event at
// the same time and it names one revision that never was and two events that are nobody's. The
// revision is named by the second generation of its key.
func TestAnOlderDifferenceIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Raw, billingtest.Options{})
	answers := &problems{}
	client, err := billing.NewClient(billing.ClientConfig{
		Key: "sk_test_desk", WebhookSecret: billingtest.Secret, Base: d.stripe.URL,
		Now: d.clock.Now, Transport: answers,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(schema.Raw, client)
	another := d.newReporter(schema.Raw, client)
	for i, micros := range []int64{100, 11} {
		d.uses(acme, 3, micros)
		d.clock.Set(at(5 + i))
		d.run()
	}
	slot := schema.Slot{Organization: acme, Meter: costMeter, Start: at(3)}
	answers.body = fmt.Sprintf(`{"data":{"reason":{"error_types":[{"code":"no_meter",`+
		`"sample_errors":[{"api_request":{"idempotency_key":%q}},{"request":{"identifier":%q}},`+
		`{"request":{"identifier":"nobody"}},{}]}]}}}`,
		billing.Identifier(slot, 1)+"-g2", billing.Identifier(slot, 9))
	const thin = "v1.billing.meter.error_report_triggered"
	d.post(billingtest.Notice{Type: thin, Body: []byte(
		`{"id":"evt_1","object":"v2.core.event","type":"` + thin + `"}`)})
	var nodes sync.WaitGroup
	for _, r := range []*billing.Reporter{d.reporter, another} {
		nodes.Go(func() {
			if err := r.DealWithNotices(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	const want = "done: 1 revisions refused, 3 events that are not ours"
	if got := d.noted(thin); len(got) != 1 || got[0] != want {
		t.Errorf("noted: %q", got)
	}
	d.stripe.Tamper("cus_acme", costMeter, at(3), 11) // as Stripe says
	d.clock.Advance(61 * time.Minute)
	d.run()
	d.holds(3, 111)
}
