package billing

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"github.com/meterhouse/meterhouse/schema"
)

// mocked are the beginnings of the paths that the schema is kept for: all of it takes longer to
// read than the tests.
var mocked = []string{
	"/v1/billing/meter", "/v1/subscription_items/{subscription_item}/usage_record",
	"/v1/invoices", "/v1/customers",
	"/v1/products", "/v1/prices", "/v1/subscriptions",
}

// stripesSchema serves what stripe-mock answers: it holds requests against Stripe's own schema, and
// keeps nothing. It prints every request, which is silenced; no other test runs meanwhile, as long
// as the caller is not parallel.
func stripesSchema(t *testing.T) ClientConfig {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = null
	t.Cleanup(func() {
		os.Stdout = stdout
		_ = null.Close()
	})
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		t.Fatal(err)
	}
	for path := range spec.Paths {
		keep := false
		for _, beginning := range mocked {
			keep = keep || strings.HasPrefix(string(path), beginning)
		}
		if !keep {
			delete(spec.Paths, path)
		}
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := server.NewStubServer(fixtures, spec, false, false)
	if err != nil {
		t.Fatal(err)
	}
	mock := httptest.NewServer(http.HandlerFunc(stub.HandleRequest))
	t.Cleanup(mock.Close)
	// The mock takes keys of three parts only.
	return ClientConfig{Key: "sk_test_contract", Base: mock.URL,
		Now: func() time.Time { return atNoon }}
}

// Every call is one that Stripe's schema has.
func TestCallsAreOfStripesSchema(t *testing.T) {
	config := stripesSchema(t)
	c, err := NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("sent", func(t *testing.T) { sentAsInSchema(t, c) })
	t.Run("read", func(t *testing.T) { readAsInSchema(t, c) })
	t.Run("refused", func(t *testing.T) { refusedBySchema(t, c) })
	t.Run("live questions", func(t *testing.T) { askedAsInSchema(t, config) })
}

// With EventName left out of Send, the meter events were Rejected; with another Action, the usage
// records were.
func sentAsInSchema(t *testing.T, c *Client) {
	ctx := t.Context()
	for _, mode := range []schema.ReportMode{
		schema.Preaggregated, schema.UsageRecord, schema.Raw,
	} {
		for _, units := range []int64{1_234_567, 0} {
			d := delivery(mode)
			d.Send = units
			if a := c.Send(ctx, d); a.Verdict != schema.Accepted {
				t.Errorf("%s of %d: %+v", mode, units, a)
			}
		}
	}
}

func readAsInSchema(t *testing.T, c *Client) {
	ctx := t.Context()
	// This schema has no days yet: what comes for them was asked by hours.
	day := atNoon.Truncate(24 * time.Hour)
	for _, by := range []Grouping{Whole, ByDay, ByHour} {
		got, err := c.Summaries(ctx, SummaryParams{Meter: "mtr_1", Customer: "cus_1",
			From: day.Add(-24 * time.Hour), To: day, By: by})
		if err != nil || len(got) != 1 || got[0].Units == 0 {
			t.Errorf("summaries %d: %v %v", by, got, err)
		}
	}
	if _, err := c.MeterID(ctx, "usage"); schema.KindOf(err) != schema.NotFound {
		t.Errorf("meters: %v", err)
	}
	if id, err := c.MeterID(ctx, "test-meter-event-name"); err != nil || id == "" {
		t.Errorf("the mock's meter: %q %v", id, err)
	}
	if got, err := c.Records(ctx, "si_1"); err != nil || len(got) != 1 {
		t.Errorf("records: %v %v", got, err)
	}
	if got, err := c.Invoices(ctx, "cus_1", day); err != nil || len(got) == 0 || got[0].ID == "" ||
		got[0].Created.IsZero() || got[0].Status == "" {
		t.Errorf("invoices: %+v %v", got, err)
	}
	if _, err := c.Lines(ctx, "in_1"); err != nil {
		t.Errorf("lines: %v", err)
	}
}

// refusedBySchema has the mock refuse what is not, or the other parts would prove nothing.
func refusedBySchema(t *testing.T, c *Client) {
	f := func(why, path string, form map[string]string) {
		t.Helper()
		params := &stripe.Params{}
		for name, value := range form {
			params.AddExtra(name, value)
		}
		_, r := c.call(t.Context(), http.MethodPost, path, apiVersion, params)
		if a := c.answer(r); a.Verdict != schema.Rejected || a.Detail == "" {
			t.Errorf("%s: %+v", why, a)
		}
	}
	f("no event name", "/v1/billing/meter_events", map[string]string{"payload[value]": "1"})
	f("unknown parameter", "/v1/billing/meter_events",
		map[string]string{"event_name": "a", "payload[value]": "1", "quantity": "1"})
	f("unknown action", "/v1/subscription_items/si_1/usage_records",
		map[string]string{"action": "replace", "quantity": "1", "timestamp": "1"})
	f("quantity of words", "/v1/subscription_items/si_1/usage_records",
		map[string]string{"action": "set", "quantity": "some", "timestamp": "1"})
	f("unknown path", "/v1/billing/meter_records", map[string]string{"a": "b"})
}

// askedAsInSchema asks the questions of the live test: all that they need can be made, and nothing
// is left behind.
func askedAsInSchema(t *testing.T, config ClientConfig) {
	asked := 0
	box := newSandbox(t, config, func(question, answer string) {
		asked++
		if strings.Contains(answer, "Unrecognized") || strings.Contains(answer, "unknown") ||
			strings.Contains(answer, "400") {
			t.Errorf("%s: %s", question, answer)
		}
	})
	box.patience = 0
	box.ask()
	box.cleanUp()
	if asked < 20 || len(box.made) != 0 {
		t.Errorf("%d answers; left: %v", asked, box.made)
	}
}
