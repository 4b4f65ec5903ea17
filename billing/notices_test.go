package billing_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// desk is a reporter, its database and its Stripe, at a time of their own.
type desk struct {
	t        *testing.T
	db       *schematest.Database
	q        *queries.Queries
	clock    *billingtest.Clock
	stripe   *billingtest.Stripe
	client   *billing.Client
	reporter *billing.Reporter
}

// The usage of acme counts for two meters, each with an item of its own; ghost's customer is not
// known to Stripe.
const (
	costMeter  = "usage_micro_usd"
	tokenMeter = "usage_tokens"
)

var (
	acme      = billingtest.Organization("acme")
	ghost     = billingtest.Organization("ghost")
	deskBegan = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
)

func newDesk(t *testing.T, mode schema.ReportMode, o billingtest.Options) *desk {
	t.Helper()
	d := &desk{t: t, clock: billingtest.NewClock(deskBegan)}
	d.db, d.q = billingtest.Open(t)
	how := billingtest.ByArrival
	if mode == schema.Raw {
		how = billingtest.AddsUp
	}
	o.Meters = []billingtest.Meter{{Name: costMeter, Ingestion: how}, {Name: tokenMeter, Ingestion: how}}
	onMeter := func(name string) string {
		if mode == schema.UsageRecord {
			return ""
		}
		return name
	}
	o.Items = []billingtest.Item{
		{ID: "si_cost", Customer: "cus_acme", Meter: onMeter(costMeter)},
		{ID: "si_tokens", Customer: "cus_acme", Meter: onMeter(tokenMeter)},
	}
	o.PeriodStart = deskBegan
	d.stripe = billingtest.New(t, d.clock, o)
	t.Cleanup(func() {
		for _, breach := range d.stripe.Breaches() {
			t.Error(breach)
		}
	})
	var err error
	d.client, err = billing.NewClient(billing.ClientConfig{
		Key: "sk_test_desk", WebhookSecret: billingtest.Secret, Base: d.stripe.URL,
		Now: d.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(mode, d.client)
	billingtest.Catalog(t, d.q, []schema.Organization{
		{ID: acme, Name: "acme", Stripe: schema.StripeMapping{
			Customer: "cus_acme", Meter: costMeter, SubscriptionItem: "si_cost",
			Meters: []schema.MeterMapping{{Meter: tokenMeter, SubscriptionItem: "si_tokens"}},
		}},
		{ID: ghost, Name: "ghost", Stripe: schema.StripeMapping{
			Customer: "cus_ghost", Meter: costMeter, SubscriptionItem: "si_ghost",
		}},
	}, []schema.Meter{
		{Name: costMeter},
		{Name: tokenMeter, Unit: schema.WholeUnits, UsageTypes: []string{"TOKENS"}},
	})
	return d
}

func (d *desk) newReporter(mode schema.ReportMode, c *billing.Client) *billing.Reporter {
	d.t.Helper()
	r, err := billing.New(billing.Config{
		Queries: d.q, Stripe: c, Mode: mode, Writer: uuid.New(), Now: d.clock.Now,
		Logger: slog.New(slog.DiscardHandler), Rate: 10_000,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// at returns the time so many hours after the beginning.
func at(hours int) time.Time { return deskBegan.Add(time.Duration(hours) * time.Hour) }

// uses stores a cost, in micro-USD, in an hour.
func (d *desk) uses(organization uuid.UUID, hour int, micros int64) {
	d.t.Helper()
	billingtest.Usage(d.t, d.q, billingtest.Use{
		Organization: organization, At: at(hour).Add(time.Minute), Type: "CALLS", Quantity: "1",
		Billed: billingtest.USD(micros),
	})
}

func (d *desk) run() {
	d.t.Helper()
	run, err := d.reporter.Run(d.t.Context())
	if err != nil || run.End != schema.RunDone {
		d.t.Fatalf("run: %+v, error %v", run, err)
	}
}

// post hands events over as Stripe does.
func (d *desk) post(all ...billingtest.Notice) {
	d.t.Helper()
	for _, n := range all {
		signature := billingtest.Sign(n.Body, billingtest.Secret, d.clock.Now())
		if err := d.reporter.Notify(d.t.Context(), n.Body, signature); err != nil {
			d.t.Fatalf("%s: %v", n.Type, err)
		}
	}
}

func (d *desk) deal() {
	d.t.Helper()
	if err := d.reporter.DealWithNotices(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// noted returns what came of the events of a type, and whether bodies are still there.
func (d *desk) noted(kind string) []string {
	d.t.Helper()
	return d.db.Strings("SELECT concat(if(done, 'done: ', 'open: '), detail, "+
		"if(empty(body), '', ' (body)')) FROM stripe_webhooks FINAL WHERE type = ? "+
		"ORDER BY received_at, id", kind)
}

// periods returns what is known of acme's periods, by start and meter.
func (d *desk) periods() []string {
	d.t.Helper()
	all, err := d.q.StripePeriods(d.t.Context(), acme)
	if err != nil {
		d.t.Fatal(err)
	}
	var lines []string
	for _, p := range all {
		lines = append(lines, fmt.Sprintf("%s %s-%s %v %d", p.Meter,
			p.Start.Format("2T15"), p.End.Format("2T15"), p.Finalized, p.InvoicedUnits))
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return cmp.Compare(strings.Fields(a)[1], strings.Fields(b)[1])
	})
	return lines
}

func notice(id, kind, contents string) billingtest.Notice {
	return billingtest.Notice{ID: id, Type: kind, Body: []byte(fmt.Sprintf(
		`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16",%s}`, id, kind, contents))}
}

// TestNoticesAreSigned: with the error of the database left out an event that is not stored is
// answered as if it were, and without the look at the secrets every event is called badly signed:
// seen by removing each.
func TestNoticesAreSigned(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{})
	n := notice("evt_1", "customer.created", `"data":{"object":{}}`)
	now := d.clock.Now()
	f := func(name, signature string, want schema.Kind) {
		t.Helper()
		err := d.reporter.Notify(t.Context(), n.Body, signature)
		if err == nil || schema.KindOf(err) != want {
			t.Errorf("%s: %v, want kind %d", name, err, want)
		}
	}
	f("none", "", schema.Unauthenticated)
	f("of another secret", billingtest.Sign(n.Body, "whsec_other", now), schema.Unauthenticated)
	f("of another body", billingtest.Sign([]byte("{}"), billingtest.Secret, now),
		schema.Unauthenticated)
	f("old", billingtest.Sign(n.Body, billingtest.Secret, now.Add(-6*time.Minute)),
		schema.Unauthenticated)
	f("of the future", billingtest.Sign(n.Body, billingtest.Secret, now.Add(6*time.Minute)),
		schema.Unauthenticated)
	n.Body = []byte("{")
	f("unreadable", billingtest.Sign(n.Body, billingtest.Secret, now), schema.Invalid)
	open, err := d.q.OpenWebhooks(t.Context(), 10)
	if err != nil || len(open) > 0 {
		t.Errorf("stored %v, error %v", open, err)
	}

	n = notice("evt_1", "customer.created", `"data":{"object":{}}`)
	good := billingtest.Sign(n.Body, billingtest.Secret, now)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.reporter.Notify(canceled, n.Body, good); schema.KindOf(err) != schema.Unavailable {
		t.Errorf("not stored: %v, want it to be sent again", err)
	}
	d.post(n)
	d.deal()
	d.clock.Advance(time.Second)
	d.post(n) // a redelivery changes nothing
	if got := d.noted("customer.created"); len(got) != 1 || got[0] != "done: not needed" {
		t.Errorf("an event that nobody needs: %q", got)
	}

	d.notNeeded()

	good = billingtest.Sign(n.Body, billingtest.Secret, d.clock.Now())
	d.reporter = d.newReporter(schema.Preaggregated, nil)
	f("no key", good, schema.Unavailable)
	open2, err := billing.NewClient(billing.ClientConfig{Key: "sk_test_x", Now: d.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(schema.Preaggregated, open2)
	f("no secret", good, schema.Unavailable)
}

// TestInvoicesInAnyOrder: however often and in which order an invoice's events come, the period ends
// as it was invoiced. It has more lines than its events, so they are asked for.
func TestInvoicesInAnyOrder(t *testing.T) {
	t.Parallel()
	const inline = 2 // of the three that an invoice has
	d := newDesk(t, schema.Preaggregated, billingtest.Options{
		PeriodLength: 6 * time.Hour, InlineLines: inline,
	})
	line := func(meter string, from int, final bool, units int) string {
		return fmt.Sprintf("%s %s-%s %v %d", meter, at(from).Format("2T15"),
			at(from+6).Format("2T15"), final, units)
	}
	f := func(from int, crash string, order ...int) {
		t.Helper()
		d.stripe.Tamper("cus_acme", costMeter, at(from+1), 10)
		d.stripe.Tamper("cus_acme", costMeter, at(from+2), 20)
		d.clock.Set(at(from + 6).Add(61 * time.Minute))
		all := d.stripe.Notices()
		if len(all) != 2 {
			t.Fatalf("%d events", len(all))
		}
		wants := func(final bool, units int) {
			t.Helper()
			got := strings.Join(d.periods(), "\n")
			want := line(costMeter, from, final, units) + "\n" + line(tokenMeter, from, final, 0)
			if !strings.Contains(got, want) {
				t.Errorf("%v:\n%s\nwant:\n%s", order, got, want)
			}
		}
		for n, i := range order {
			d.clock.Advance(time.Second)
			d.post(all[i])
			d.crash(crash)
			d.deal()
			if n == 0 && i == 0 {
				wants(false, 0)
			}
		}
		wants(true, 30)
		for i, kind := range []string{"invoice.created", "invoice.finalized"} {
			want := fmt.Sprintf("done: %s of in_cus_acme_%d: 2 periods, 0 lines of no meter of "+
				"ours, 0 of open periods", kind, at(from).Unix())
			if got := d.noted(kind); got[len(got)-1] != want {
				t.Errorf("%d, %s: %q, want %q", i, kind, got, want)
			}
		}
	}
	f(0, "", 0, 1)
	f(6, "", 1, 0, 1)
	f(12, "", 0, 0, 1, 1, 0)
	f(18, "notice", 0, 1)
	f(24, "dealt", 1, 0)
}

var errEnded = errors.New("the process ended")

// crash has dealing with notices end at a step, as the end of its process would.
func (d *desk) crash(step string) {
	d.t.Helper()
	if step == "" {
		return
	}
	d.reporter.CrashAt(func(at string) error {
		if at == step {
			return errEnded
		}
		return nil
	})
	if err := d.reporter.DealWithNotices(d.t.Context()); !errors.Is(err, errEnded) {
		d.t.Errorf("crash at %s: %v", step, err)
	}
	d.reporter.CrashAt(nil)
}

// notNeeded posts events that nobody needs: they are dealt with, whatever is in them.
func (d *desk) notNeeded() {
	d.t.Helper()
	const line = `{"id":"il_1","quantity":5,"subscription_item":"si_x","period":{"start":1772409600,` +
		`"end":1772413200},"price":{"recurring":{"usage_type":"metered","meter":"mtr_other"}}}`
	invoice := func(id, kind, customer string) billingtest.Notice {
		return notice(id, kind, fmt.Sprintf(`"data":{"object":{"id":"in_1","customer":%q,`+
			`"lines":{"data":[%s],"has_more":false}}}`, customer, line))
	}
	d.clock.Set(at(3))
	d.post(
		invoice("evt_5", "invoice.finalized", "cus_nobody"),
		invoice("evt_2", "invoice.created", "cus_acme"),
		invoice("evt_3", "invoice.voided", "cus_acme"),
		billingtest.Notice{Body: []byte(`{"id":"evt_4","object":"v2.core.event",` +
			`"type":"v1.billing.meter.no_meter_found","created":"2026-03-02T00:00:00Z"}`)},
	)
	d.deal()
	f := func(kind, want string) {
		d.t.Helper()
		if got := d.noted(kind); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			d.t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
	f("invoice.finalized", "done: its customer is no organization's")
	f("invoice.created", "done: invoice.created of in_1: 0 periods, 1 lines of no meter of ours")
	f("invoice.voided", "done: its period stays closed")
	// Stripe has no such event, yet.
	f("v1.billing.meter.no_meter_found", "open:  (body)")
	d.clock.Advance(time.Hour)
	d.deal()
	f("v1.billing.meter.no_meter_found", "done: given up: stripe: GET /v2/core/events/evt_4: 404")
	if got := d.periods(); len(got) > 0 {
		d.t.Errorf("periods: %q", got)
	}
}

// TestNoticeWaitsForStripe: an event that needs Stripe stays while Stripe is away, keeps no other
// waiting, and is given up after a week. Without awayAfter there are 5 calls, without giveUpAfter the
// events stay open for ever, and without reading past those that wait the last one does too: seen
// by removing each.
func TestNoticeWaitsForStripe(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{PeriodLength: 6 * time.Hour})
	d.clock.Set(at(7))
	all := d.stripe.Notices()
	const thin = "v1.billing.meter.error_report_triggered"
	for i := range 5 {
		d.post(billingtest.Notice{Type: thin, Body: []byte(fmt.Sprintf(
			`{"id":"evt_thin%d","object":"v2.core.event","type":%q}`, i, thin))})
	}
	d.clock.Advance(time.Second)
	d.post(all...)
	// The meters' ids are in the catalog now: the invoice needs nobody.
	billingtest.Catalog(t, d.q, nil, []schema.Meter{
		{Name: costMeter, StripeID: billingtest.MeterID(costMeter)},
		{Name: tokenMeter, StripeID: billingtest.MeterID(tokenMeter)},
	})
	d.stripe.Outage(at(0), at(300), false)
	before := d.stripe.Counts().Calls
	d.deal()
	if calls := d.stripe.Counts().Calls - before; calls != 3 {
		t.Errorf("%d calls of a Stripe that is away, want 3", calls)
	}
	if got := d.noted("invoice.finalized"); len(got) != 1 || !strings.HasPrefix(got[0], "done") {
		t.Errorf("the invoice waits: %q", got)
	}
	for _, got := range d.noted(thin) {
		if got != "open:  (body)" {
			t.Errorf("thin event: %q", got)
		}
	}
	d.clock.Set(at(8 + 7*24))
	d.deal()
	for _, got := range d.noted(thin) {
		if !strings.HasPrefix(got, "done: given up: stripe: ") {
			t.Errorf("thin event after a week: %q", got)
		}
	}

	// More than are looked at at once keep the one after them waiting no more than five do.
	d.db.Exec("INSERT INTO stripe_webhooks (id, type, received_at, body) " +
		"SELECT concat('evt_more', toString(number)), '" + thin + "', " +
		"toDateTime64('2026-03-09 07:00:00', 6, 'UTC'), '{}' FROM numbers(450)")
	d.post(notice("evt_last", "customer.created", `"data":{"object":{}}`))
	d.deal()
	if got := d.noted("customer.created"); len(got) != 1 || got[0] != "done: not needed" {
		t.Errorf("behind 450 that wait: %q", got)
	}
}

// TestRefusedRevisionIsToldAgain: Stripe takes an event of a customer that it does not know, and
// says so later. Then the slot is not told, and is told again when it has rested.
func TestRefusedRevisionIsToldAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{})
	d.uses(ghost, 3, 100)
	d.clock.Set(at(5))
	d.run()
	d.foreignEvent("not-ours-1")
	d.foreignEvent("mh1-" + ghost.String() + "-" + costMeter + "-7200-r1") // ours, if there were one
	all := d.stripe.Notices()
	if len(all) != 1 {
		t.Fatalf("%d events", len(all))
	}
	d.post(all...)
	d.clock.Advance(time.Second)
	d.run()
	d.post(all...)
	d.run()
	slot := schema.Slot{Organization: ghost, Meter: costMeter, Start: at(3)}
	outcomes, err := d.q.SlotOutcomes(t.Context(), slot)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		got = append(got, fmt.Sprintf("r%d %s %s", o.Revision, o.Verdict, o.Detail))
	}
	want := "r1 accepted \nr1 refused meter_event_customer_not_found: Customer or meter not found: " +
		"meter_event_customer_not_found"
	if strings.Join(got, "\n") != want {
		t.Errorf("outcomes:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	const thin = "v1.billing.meter.error_report_triggered"
	if got := d.noted(thin); len(got) != 1 ||
		got[0] != "done: 1 revisions refused, 2 events that are not ours" {
		t.Errorf("noted: %q", got)
	}

	d.stripe.AddCustomer("cus_ghost")
	d.clock.Advance(61 * time.Minute)
	d.run()
	if got := d.stripe.Total("cus_ghost", costMeter, at(3)); got != 100 {
		t.Errorf("Stripe has %d, want 100", got)
	}
}

// foreignEvent sends a meter event of a customer that Stripe does not know, as another program.
func (d *desk) foreignEvent(identifier string) {
	d.t.Helper()
	form := url.Values{
		"event_name": {costMeter}, "identifier": {identifier},
		"payload[stripe_customer_id]": {"cus_unknown"}, "payload[value]": {"1"},
		"timestamp": {strconv.FormatInt(d.clock.Now().Unix(), 10)},
	}
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost,
		d.stripe.URL+"/v1/billing/meter_events", strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_test_other")
	r.Header.Set("Stripe-Version", "2023-10-16")
	r.Header.Set("Idempotency-Key", identifier)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		d.t.Fatalf("status %d", answer.StatusCode)
	}
}

// TestPeriodIsToldBeforeItCloses and what comes later is carried: a draft has its last hour told
// before it is sealed, and what is used after the invoice is final goes into the next period.
func TestPeriodIsToldBeforeItCloses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{PeriodLength: 24 * time.Hour})
	total := func(from, to int, want int64) {
		t.Helper()
		if got := d.stripe.Sum("cus_acme", costMeter, at(from), at(to)); got != want {
			t.Errorf("Stripe has %d in hours %d to %d, want %d", got, from, to, want)
		}
	}
	d.uses(acme, 23, 100)
	d.clock.Set(at(24).Add(time.Minute))
	d.run()
	total(0, 24, 0)
	d.post(d.stripe.Notices()...)
	d.run()
	total(0, 24, 100)
	d.uses(acme, 24, 5)
	d.clock.Set(at(26))
	d.post(d.stripe.Notices()...)
	d.uses(acme, 22, 7)
	d.run()
	total(0, 24, 100)
	total(24, 48, 12)
	for _, i := range d.stripe.Invoices() {
		if len(i.Lines) != 2 || i.Lines[0].Quantity != 100 {
			t.Errorf("invoice: %+v", i)
		}
	}
	d.clock.Set(at(60))
	d.run()
	total(24, 48, 12)
}
