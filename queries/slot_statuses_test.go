package queries_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// decimals compares quantities and costs by their values.
var decimals = cmpopts.EquateComparable(schema.Quantity{}, schema.USD{})

func TestSlotStatusesTellEverySlot(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.save(schema.Catalog{Meters: []schema.Meter{
		{Name: "out", Unit: schema.WholeUnits, UsageTypes: []string{schema.Output}},
	}})
	l.customer("o1", "out", "usage")
	usage, out := l.slot("o1", "usage", 5), l.slot("o1", "out", 4)
	unmapped, later := l.slot("o2", "", 3), l.slot("o1", "usage", 2)
	l.use(usage, schema.Input, 70)
	l.use(out, schema.Output, 5)
	l.use(unmapped, schema.Input, 9)
	l.period(usage, l.hour(5), l.hour(4), 70, true)
	l.carry(l.hour(5), later, 1, 3)
	first, second := l.intent(out, 1, 4), l.intent(out, 2, 5)
	l.freeze(first, second)
	l.say(out, 1, l.now.Add(-time.Hour), schema.Rejected)
	l.flush()
	said := schema.Outcome{
		Slot: out, Revision: 2, Verdict: schema.Rejected, At: l.now, Detail: "no such customer",
	}
	if err := l.q.InsertOutcomes(t.Context(), []schema.Outcome{said}); err != nil {
		t.Fatal(err)
	}
	want := []queries.SlotStatus{
		{Slot: usage, Own: 70, CarriedOut: 3, Closed: true, Mapped: true},
		{
			Slot: out, Unit: schema.WholeUnits, Own: 5, Mapped: true, Failures: 2,
			Said: "no such customer", Latest: schema.Revision{
				Intent: second, Verdict: schema.Rejected, Attempts: 1, LastAt: l.now,
			},
		},
		{Slot: unmapped, Own: 9},
		{Slot: later, Carried: 3, Mapped: true},
	}
	p := queries.SlotsParams{From: l.hour(5), To: l.hour(1), Limit: 10}
	got, err := l.q.SlotStatuses(t.Context(), p)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("everyone's: %v (-want +got):\n%s", err, diff)
	}
	p.Organization, p.From, p.Limit = named("o1"), l.hour(4), 1
	got, err = l.q.SlotStatuses(t.Context(), p)
	if diff := cmp.Diff(want[1:2], got); diff != "" || err != nil {
		t.Errorf("one's: %v (-want +got):\n%s", err, diff)
	}
}

// TestSlotIsItsEvents compares a slot's number with what the ledger has of it: events of other
// hours, meters and organizations, and what is not chargeable, are not of it.
func TestSlotIsItsEvents(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.save(schema.Catalog{Meters: []schema.Meter{
		{Name: "out", UsageTypes: []string{schema.Output}, Models: []string{"gpt-*"}},
	}})
	l.customer("o1", "out", "usage")
	l.customer("o2", "out", "usage")
	s := l.slot("o1", "out", 3)
	event := func(organization, usageType, model string, at time.Time) schema.Event {
		return schema.Event{
			Organization: named(organization), ID: uuid.New(), Entry: schema.Record,
			Chargeable: true, Time: at, IngestTime: l.now, Model: model,
			Measurements: []schema.Measurement{{
				UsageType: usageType, Quantity: schema.WholeQuantity(4),
				BilledCost: usd(t, "0.0000015"), Rate: named("rate"), Pricing: schema.Rated,
			}},
		}
	}
	a := event("o1", schema.Output, "gpt-5", s.Start)
	b := event("o1", schema.Output, "gpt-5", s.End().Add(-time.Microsecond))
	taken := event("o1", schema.Output, "gpt-4", s.Start)
	free := event("o1", schema.Output, "gpt-5", s.Start)
	free.Chargeable = false
	err := l.q.InsertEvents(t.Context(), "t", batchOf([]schema.Event{
		b, a, taken, reversed(taken), free,
		event("o1", schema.Output, "gpt-5", s.End()),
		event("o1", schema.Output, "claude", s.Start),
		event("o1", schema.Input, "gpt-5", s.Start),
		event("o2", schema.Output, "gpt-5", s.Start),
	}))
	if err != nil {
		t.Fatal(err)
	}
	usage, err := l.q.SlotUsage(t.Context(), s)
	if diff := cmp.Diff([]schema.SlotUsage{{
		UsageType: schema.Output, Model: "gpt-5", Rate: named("rate"), Pricing: schema.Rated,
		Events: 2, Measurements: 2, Quantity: schema.WholeQuantity(8),
		BilledCost: usd(t, "0.000003"),
	}}, usage, decimals); diff != "" || err != nil {
		t.Errorf("SlotUsage: %v (-want +got):\n%s", err, diff)
	}
	events, err := l.q.SlotEvents(t.Context(), queries.SlotEventsParams{Slot: s, Limit: 10})
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events, %v, want 4", len(events), err)
	}
	if diff := cmp.Diff(schema.SlotEvent{
		Event: b.ID, Time: b.Time, UsageType: schema.Output, Model: "gpt-5",
		Quantity: schema.WholeQuantity(4), BilledCost: usd(t, "0.0000015"), Rate: named("rate"),
	}, events[3], decimals); diff != "" {
		t.Errorf("the last event (-want +got):\n%s", diff)
	}
	rows, err := l.q.EstimateUsage(t.Context(), queries.EstimateParams{
		Organization: named("o1"), From: l.hour(3), To: l.hour(1), Recent: l.hour(2),
	})
	row := func(meter, model, kind, cost, recent string, n, m int64) queries.EstimateRow {
		return queries.EstimateRow{
			Meter: meter, Model: model, UsageType: kind, Quantity: schema.WholeQuantity(n),
			BilledCost: usd(t, cost), RecentQuantity: schema.WholeQuantity(m),
			RecentCost: usd(t, recent),
		}
	}
	want := []queries.EstimateRow{
		row("out", "gpt-5", schema.Output, "0.0000045", "0.0000015", 12, 4),
		row("usage", "claude", schema.Output, "0.0000015", "0", 4, 0),
		row("usage", "gpt-5", schema.Input, "0.0000015", "0", 4, 0),
	}
	if diff := cmp.Diff(want, rows, decimals); diff != "" || err != nil {
		t.Errorf("EstimateUsage: %v (-want +got):\n%s", err, diff)
	}
}

func TestComparisonsComeBack(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	one := schema.Comparison{
		Organization: named("o1"), Meter: "usage", From: l.hour(48), To: l.hour(24), Ledger: 7,
		Reported: 6, Stripe: -5, Repaired: 1, At: l.now, Run: named("run"),
	}
	two := one
	two.Organization, two.At, two.Part = named("o2"), l.now.Add(time.Second), true
	if err := l.q.InsertComparisons(t.Context(), []schema.Comparison{one, two}); err != nil {
		t.Fatal(err)
	}
	f := func(p queries.ComparisonsParams, want ...schema.Comparison) {
		t.Helper()
		p.Limit = 10
		got, err := l.q.Comparisons(t.Context(), p)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	to := l.now.Add(time.Minute)
	f(queries.ComparisonsParams{From: l.now, To: to}, two, one)
	f(queries.ComparisonsParams{Organization: named("o1"), From: l.now, To: to}, one)
	f(queries.ComparisonsParams{From: l.now, To: two.At}, one)
	l.differs()
}

// differs holds what differs against comparisons: the newest of each meter counts, whoever made it,
// once, and what is missing does not make up for what is too much.
func (l *ledger) differs() {
	l.t.Helper()
	o3, at := named("o3"), l.now.Add(time.Hour)
	if err := l.q.InsertComparisons(l.t.Context(), []schema.Comparison{
		{Organization: o3, Meter: "usage", Stripe: 900, At: at},
		{Organization: o3, Meter: "usage", Stripe: 5, At: at.Add(time.Minute)},
		{Organization: o3, Meter: "usage", Stripe: 5, Part: true, At: at.Add(time.Minute)},
		{Organization: o3, Meter: "usage", Reported: 7, At: at.Add(time.Minute)},
		{Organization: o3, Meter: "tokens", Reported: 3, Stripe: 3, At: at},
	}); err != nil {
		l.t.Fatal(err)
	}
	f := func(from time.Time, want queries.Differences) {
		l.t.Helper()
		if got, err := l.q.Differences(l.t.Context(), from); got != want || err != nil {
			l.t.Errorf("since %v: %+v %v, want %+v", from, got, err, want)
		}
	}
	f(l.now, queries.Differences{Units: 11 + 5 + 7, Newest: at.Add(time.Minute)})
	f(at, queries.Differences{Units: 5 + 7, Newest: at.Add(time.Minute)})
	f(at.Add(time.Hour), queries.Differences{})
}
