package billing_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

const (
	meter  = "usage_micro_usd"
	apiKey = "sk_test_reporter"
)

var errGone = errors.New("gone")

// building is a database and a clock, for one test after the other.
type building struct {
	db    *schematest.Database
	q     *queries.Queries
	clock *billingtest.Clock
	used  int // offices
}

func build(t *testing.T) *building {
	t.Helper()
	db, q := billingtest.Open(t)
	clock := billingtest.NewClock(time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC))
	return &building{db: db, q: q, clock: clock}
}

// office is a part of a building with organizations and a Stripe of its own.
type office struct {
	testing.TB
	*building
	number int
	stripe *billingtest.Stripe
	usual  *billing.Reporter // of run
	mode   schema.ReportMode
	log    *lockedBuffer
	hour   time.Time // a sealed one
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// office returns an office at half past an hour of a new day, with organizations "1" to "n", each
// with a customer and a subscription item.
func (b *building) office(t *testing.T, mode schema.ReportMode, n int, o billingtest.Options,
) *office {
	t.Helper()
	b.used++
	now := b.clock.Advance(24 * time.Hour)
	of := &office{
		TB: t, building: b, number: b.used, mode: mode, log: &lockedBuffer{},
		hour: now.Add(-2 * time.Hour).Truncate(time.Hour),
	}
	how := billingtest.ByArrival
	if mode == schema.Raw {
		how = billingtest.AddsUp
	}
	o.Meters = []billingtest.Meter{{Name: meter, Ingestion: how}}
	var organizations []schema.Organization
	for i := range n {
		name := fmt.Sprint(i + 1)
		organizations = append(organizations, of.organization(name, of.customer(name)))
		o.Items = append(o.Items, billingtest.Item{
			ID: of.item(name), Customer: of.customer(name),
		})
	}
	billingtest.Catalog(t, b.q, organizations, nil)
	of.stripe = billingtest.New(t, b.clock, o)
	return of
}

func (o *office) id(name string) uuid.UUID {
	return billingtest.Organization(fmt.Sprintf("%d-%s", o.number, name))
}

func (o *office) customer(name string) string { return fmt.Sprintf("cus_%d_%s", o.number, name) }

func (o *office) item(name string) string { return fmt.Sprintf("si_%d_%s", o.number, name) }

func (o *office) organization(name, customer string) schema.Organization {
	return schema.Organization{ID: o.id(name), Name: name, Stripe: schema.StripeMapping{
		Customer: customer, Meter: meter, SubscriptionItem: o.item(name),
	}}
}

func (o *office) slot(name string, hour time.Time) schema.Slot {
	return schema.Slot{Organization: o.id(name), Meter: meter, Start: hour}
}

// reporter returns a Reporter of the office's, as of another process.
func (o *office) reporter() *billing.Reporter { return o.reporterWith(nil, nil) }

func (o *office) reporterWith(
	transport http.RoundTripper, registry prometheus.Registerer,
) *billing.Reporter {
	o.Helper()
	logger := slog.New(slog.NewTextHandler(o.log, nil))
	client, err := billing.NewClient(billing.ClientConfig{
		Key: apiKey, WebhookSecret: billingtest.Secret, Base: o.stripe.URL, Now: o.clock.Now,
		Logger: logger, Transport: transport,
	})
	if err != nil {
		o.Fatal(err)
	}
	r, err := billing.New(billing.Config{
		Queries: o.q, Stripe: client, Mode: o.mode, Writer: uuid.New(), Now: o.clock.Now,
		Logger: logger, Rate: 10_000, Metrics: registry,
	})
	if err != nil {
		o.Fatal(err)
	}
	return r
}

// run makes a pass and checks how it ended.
func (o *office) run(end schema.RunEnd) schema.ReportRun {
	o.Helper()
	if o.usual == nil {
		o.usual = o.reporter()
	}
	return o.pass(o.usual, end)
}

func (o *office) pass(r *billing.Reporter, end schema.RunEnd) schema.ReportRun {
	o.Helper()
	run, err := r.Run(o.Context())
	if err != nil || run.End != end {
		o.Fatalf("the pass ended as %s (%s) with %v, want %s; the log:\n%s",
			run.End, run.Detail, err, end, o.log.text())
	}
	return run
}

// use stores usage of an organization in an hour.
func (o *office) use(name string, hour time.Time, micros int64) schema.Event {
	o.Helper()
	return billingtest.Usage(o, o.q, billingtest.Use{
		Organization: o.id(name), At: hour.Add(time.Minute), Type: "INPUT",
		Quantity: "1", Billed: billingtest.USD(micros),
	})[0]
}

// useMany stores usage of each organization in each of the hours back from a sealed one.
func (o *office) useMany(hours int, micros int64, names ...string) {
	o.Helper()
	var all []billingtest.Use
	for i := range hours {
		for _, name := range names {
			all = append(all, billingtest.Use{
				Organization: o.id(name), At: o.back(i).Add(time.Minute), Type: "INPUT",
				Quantity: "1", Billed: billingtest.USD(micros),
			})
		}
	}
	billingtest.Usage(o, o.q, all...)
}

// back returns the hour so many before a sealed one.
func (o *office) back(hours int) time.Time { return o.hour.Add(-time.Duration(hours) * time.Hour) }

func upTo(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(i+1))
	}
	return names
}

// fail makes the first call about a slot go wrong.
func (o *office) fail(name string, hour time.Time, f billingtest.Fault) {
	o.stripe.FailNext(billing.Identifier(o.slot(name, hour), 1), f)
}

// has fails the test unless Stripe has so many units of an organization's hour.
func (o *office) has(name string, hour time.Time, want int64) {
	o.Helper()
	got := o.stripe.Total(o.customer(name), meter, hour)
	if o.mode == schema.UsageRecord {
		got = o.stripe.Recorded(o.item(name), hour, hour.Add(time.Hour))
	}
	if got != want {
		o.Errorf("Stripe has %d of %s at %s, want %d", got, name, hour.Format("15:04"), want)
	}
}

// revisions returns what a slot was told, as revision:total:verdict.
func (o *office) revisions(name string, hour time.Time) string {
	o.Helper()
	all, err := o.q.SlotRevisions(o.Context(), o.slot(name, hour))
	if err != nil {
		o.Fatal(err)
	}
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("%d:%d:%s", r.Revision, r.Total, r.Verdict))
	}
	return strings.Join(out, " ")
}

func (o *office) told(name string, hour time.Time, want string) {
	o.Helper()
	if got := o.revisions(name, hour); got != want {
		o.Errorf("%s at %s was told %q, want %q", name, hour.Format("15:04"), got, want)
	}
}

// sound fails the test when a call was one that no reporter may make.
func (o *office) sound() {
	o.Helper()
	if breaches, n := o.stripe.Breaches(), o.stripe.Counts().Conflicts; len(breaches)+n > 0 {
		o.Errorf("%d conflicts of keys, %q", n, breaches)
	}
	if strings.Contains(o.log.text(), apiKey) {
		o.Error("the log shows the key")
	}
}

// measured fails the test unless the metrics have these lines.
func (o *office) measured(registry *prometheus.Registry, lines ...string) {
	o.Helper()
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page,
		httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range lines {
		if !strings.Contains(page.Body.String(), "\nmeterhouse_report_"+line+"\n") {
			o.Errorf("the metrics have no line %s:\n%s", line, page.Body)
		}
	}
}
