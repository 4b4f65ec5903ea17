package billing_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// newReader returns a Reporter without a key: it only tells what there is.
func newReader(t testing.TB, q *queries.Queries, now time.Time) *billing.Reporter {
	t.Helper()
	r, err := billing.New(billing.Config{
		Queries: q, Mode: schema.Preaggregated, Writer: uuid.New(),
		Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parsed(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

// explained is a database with usage of three hours: an organization with two meters and a rest,
// one without a customer; rated, given and unpriced usage, some of it corrected.
type explained struct {
	q       *queries.Queries
	acme    uuid.UUID
	nobody  uuid.UUID
	first   time.Time
	rate    schema.Rate
	retired schema.Rate
}

func explainedUsage(t testing.TB) explained {
	t.Helper()
	_, q := billingtest.Open(t)
	x := explained{
		q: q, acme: billingtest.Organization("acme"), nobody: billingtest.Organization("nobody"),
		first: parsed(t, "2026-11-22T10:00:00Z"),
	}
	price := func(s string) schema.USD {
		u, err := schema.ParseUSD(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	x.rate = schema.Rate{
		Model: "m0", UsageType: schema.Output, Provider: "p", BilledUSDPerMillion: price("0.333333"),
		From: parsed(t, "2026-01-01T00:00:00Z"),
	}
	x.rate.ID = schema.RateID(x.rate)
	x.retired = x.rate
	x.retired.Model, x.retired.From = "m1", parsed(t, "2025-01-01T00:00:00Z")
	x.retired.ID = schema.RateID(x.retired)
	organizations := []schema.Organization{
		{ID: x.acme, Name: "acme", Stripe: schema.StripeMapping{
			Customer: "cus_1", Meter: "rest", Meters: []schema.MeterMapping{{Meter: "seconds"}},
		}},
		{ID: x.nobody, Name: "nobody"},
	}
	meters := []schema.Meter{{
		Name: "seconds", Unit: schema.WholeUnits, UsageTypes: []string{schema.VapiSeconds},
	}}
	if err := q.SaveCatalog(t.Context(), schema.CatalogChange{
		Upsert: schema.Catalog{
			Organizations: organizations, Meters: meters,
			Rates: []schema.Rate{x.rate, x.retired},
		},
		Version: 1, At: x.first, Actor: "test",
	}); err != nil {
		t.Fatal(err)
	}
	if err := q.SaveCatalog(t.Context(), schema.CatalogChange{
		Retire:  schema.Catalog{Rates: []schema.Rate{x.retired}},
		Version: 2, At: x.first, Actor: "test",
	}); err != nil {
		t.Fatal(err)
	}
	x.store(t)
	return x
}

// store makes random usage, a third of it corrected or voided.
func (x explained) store(t testing.TB) {
	t.Helper()
	r := rand.New(rand.NewPCG(15, 16))
	var all []schema.Event
	for i := range 300 {
		u := billingtest.Use{
			Organization: x.acme, At: x.first.Add(time.Duration(r.Int64N(int64(3 * time.Hour)))),
			Type: schema.Input, Model: fmt.Sprint("m", r.IntN(3)),
			Quantity: fmt.Sprintf("%d.%06d", r.IntN(1_000_000), r.IntN(1_000_000)),
			Billed:   fmt.Sprintf("0.%012d", r.IntN(1_000_000_000_000)),
		}
		switch i % 5 {
		case 1:
			u.Type = schema.VapiSeconds
		case 2:
			u.Billed = ""
		case 3:
			u.Organization = x.nobody
		}
		event := billingtest.Events(t, u)[0]
		if i%5 == 4 {
			m, rate := &event.Measurements[0], x.rate
			if i%2 == 0 {
				rate = x.retired
			}
			cost, _ := schema.Cost(m.Quantity, rate.BilledUSDPerMillion)
			m.UsageType, m.Pricing, m.Rate, m.BilledCost = rate.UsageType, schema.Rated, rate.ID, cost
			event.Model = rate.Model
		}
		all = append(all, event)
		switch r.IntN(6) {
		case 0:
			all = append(all, billingtest.Revise(t, event, "1.5", "0.0000025")...)
		case 1:
			all = append(all, billingtest.Reversal(event))
		}
	}
	if err := billingtest.Store(t.Context(), x.q, all...); err != nil {
		t.Fatal(err)
	}
}

// TestWhatPeopleSee asks one database, whose migrations are what takes time.
func TestWhatPeopleSee(t *testing.T) {
	t.Parallel()
	x := explainedUsage(t)
	t.Run("sums", func(t *testing.T) { explanationsAddUpToTheSlot(t, x) })
	t.Run("bounds", func(t *testing.T) { slotsAreAskedForInBounds(t, x) })
	t.Run("nothing", func(t *testing.T) { explanationsOfNothing(t, x) })
	t.Run("told", func(t *testing.T) { explanationsHaveWhatStripeWasTold(t, x) })
	t.Run("estimates", func(t *testing.T) { estimatesOfAPeriod(t, x) })
}

// explanationsAddUpToTheSlot holds what the rollup says of every slot against what its
// explanation makes of the ledger: the number, rounded once, and its events one by one.
func explanationsAddUpToTheSlot(t *testing.T, x explained) {
	r := newReader(t, x.q, x.first.Add(24*time.Hour))
	slots, err := r.Slots(t.Context(), schema.SlotsParams{
		From: x.first, To: x.first.Add(3 * time.Hour),
	})
	if err != nil || len(slots) != 9 {
		t.Fatalf("%d slots, %v; want three meters in three hours", len(slots), err)
	}
	seen := map[uuid.UUID]bool{}
	for _, s := range slots {
		e, err := r.Explain(t.Context(), s.Slot)
		if err != nil {
			t.Fatalf("%s: %v", s.Slot, err)
		}
		if diff := cmp.Diff(s, e.Report); diff != "" {
			t.Errorf("%s (-listed +explained):\n%s", s.Slot, diff)
		}
		if e.Rounded != s.Billable || s.Billable == 0 {
			t.Errorf("%s: the ledger comes to %s, rounded %d, the rollup to %d",
				s.Slot, e.Exact, e.Rounded, s.Billable)
		}
		var quantity, byEvent schema.Quantity
		var cost, costByEvent schema.USD
		for _, u := range e.Usage {
			quantity, cost = quantity.Add(u.Quantity), cost.Add(u.BilledCost)
		}
		for _, v := range e.Events {
			byEvent, costByEvent = byEvent.Add(v.Quantity), costByEvent.Add(v.BilledCost)
		}
		if !e.More && (quantity != byEvent || cost != costByEvent) {
			t.Errorf("%s: %s and %s USD by usage, %s and %s by event",
				s.Slot, quantity, cost, byEvent, costByEvent)
		}
		for _, rate := range e.Rates {
			seen[rate.ID] = true
		}
		var page strings.Builder
		if err := billing.RenderExplanation(&page, e); err != nil ||
			strings.Contains(page.String(), "rollup says otherwise") {
			t.Errorf("%v:\n%s", err, page.String())
		}
	}
	if !seen[x.rate.ID] || !seen[x.retired.ID] {
		t.Errorf("rates %v, want one in force and one that is not any more", seen)
	}
}

func slotsAreAskedForInBounds(t *testing.T, x explained) {
	now := x.first.Add(3*time.Hour + 5*time.Minute) // the last hour is not sealed
	r := newReader(t, x.q, now)
	all := schema.SlotsParams{From: x.first, To: x.first.Add(3 * time.Hour)}
	slots, err := r.Slots(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	states := map[schema.SlotState]int{}
	for i, s := range slots {
		states[s.State]++
		if i > 0 && s.Slot.Start.Before(slots[i-1].Slot.Start) {
			t.Error("slots are not ordered by hour")
		}
	}
	want := map[schema.SlotState]int{
		schema.SlotPending: 4, schema.SlotOpen: 2, schema.SlotUnmapped: 3,
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	f := func(change func(*schema.SlotsParams), slots int, field string) {
		t.Helper()
		p := all
		change(&p)
		got, err := r.Slots(t.Context(), p)
		e, _ := err.(*schema.Error)
		if len(got) != slots || (err == nil) != (field == "") ||
			e != nil && (e.Kind != schema.Invalid || e.Field != field) {
			t.Errorf("%+v: %d slots, %v; want %d, %q", p, len(got), err, slots, field)
		}
	}
	f(func(p *schema.SlotsParams) { p.Limit = 9 }, 9, "")
	f(func(p *schema.SlotsParams) { p.Limit = 8 }, 0, "to")
	f(func(p *schema.SlotsParams) { p.To = p.From }, 0, "to")
	f(func(p *schema.SlotsParams) { p.Organization = x.acme }, 6, "")
	f(func(p *schema.SlotsParams) { p.Organization = uuid.New() }, 0, "")
	f(func(p *schema.SlotsParams) { p.To = p.From.Add(time.Second) }, 3, "")
}

func explanationsOfNothing(t *testing.T, x explained) {
	r := newReader(t, x.q, x.first.Add(24*time.Hour))
	f := func(s schema.Slot, want schema.Kind) {
		t.Helper()
		if _, err := r.Explain(t.Context(), s); err == nil || schema.KindOf(err) != want {
			t.Errorf("%s: %v", s, err)
		}
	}
	at := func(organization uuid.UUID, meter string, after time.Duration) schema.Slot {
		return schema.Slot{Organization: organization, Meter: meter, Start: x.first.Add(after)}
	}
	f(at(x.acme, "rest", -time.Hour), schema.NotFound)
	f(at(x.acme, "other", 0), schema.NotFound)
	f(at(x.nobody, "rest", 0), schema.NotFound)
	f(at(x.acme, "rest", time.Minute), schema.Invalid)
}

// explanationsHaveWhatStripeWasTold tells a slot, has more come and its period closed: all of it is
// explained.
func explanationsHaveWhatStripeWasTold(t *testing.T, x explained) {
	now := x.first.Add(24 * time.Hour)
	slot := schema.Slot{Organization: x.acme, Meter: "rest", Start: x.first}
	r := newReader(t, x.q, now)
	before, err := r.Explain(t.Context(), slot)
	if err != nil {
		t.Fatal(err)
	}
	tell := func(revision uint32, total int64, verdict schema.Verdict) {
		t.Helper()
		intent := schema.Intent{
			Slot: slot, Revision: revision, Mode: schema.Preaggregated, Total: total, Send: total,
			Identifier: billing.Identifier(slot, revision), Customer: "cus_1", CreatedAt: now,
		}
		batch := queries.IntentBatch{
			Number: uint64(revision), ID: uuid.New(), Intents: []schema.Intent{intent},
		}
		if err := x.q.FreezeIntents(t.Context(), batch, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := x.q.InsertOutcomes(t.Context(), []schema.Outcome{{
			Slot: slot, Revision: revision, Verdict: verdict, At: now, HTTPStatus: 400,
			RequestID: "req_" + fmt.Sprint(revision), Detail: "No such customer",
		}}); err != nil {
			t.Fatal(err)
		}
	}
	f := func(state schema.SlotState, reported int64, revisions int, said string) {
		t.Helper()
		e, err := r.Explain(t.Context(), slot)
		if err != nil {
			t.Fatal(err)
		}
		var page strings.Builder
		if err := billing.RenderExplanation(&page, e); err != nil {
			t.Fatal(err)
		}
		if e.Report.State != state || e.Report.Reported != reported ||
			len(e.Revisions) != revisions || len(e.Outcomes) != revisions ||
			!strings.Contains(page.String(), said) {
			t.Errorf("%+v, %d revisions, want %s, %d, %d, %q in\n%s", e.Report, len(e.Revisions),
				state, reported, revisions, said, page.String())
		}
	}
	own := before.Report.Billable
	tell(1, own, schema.Rejected)
	f(schema.SlotRejected, 0, 1, "check the organization's stripe.customer")
	tell(2, own, schema.Accepted)
	f(schema.SlotAcked, own, 2, "req_2")
	c := schema.Carry{
		Organization: x.acme, Meter: "rest", From: x.first.AddDate(0, -1, 0), Number: 1,
		ID: uuid.New(), To: slot.Start, Units: 7, Reason: "the period is invoiced", CreatedAt: now,
	}
	if err := x.q.InsertCarry(t.Context(), c, time.Minute); err != nil {
		t.Fatal(err)
	}
	f(schema.SlotPending, own, 2, "+7 into this slot from 2026-10-22 10:00")

	// Its period is invoiced without the seven, and without the two hours after.
	later, err := r.Slots(t.Context(), schema.SlotsParams{
		Organization: x.acme, From: x.first, To: x.first.Add(3 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	due := -own
	for _, s := range later {
		if s.Slot.Meter == "rest" {
			due += s.Billable
		}
	}
	period := schema.StripePeriod{
		Organization: x.acme, Meter: "rest", Start: x.first.Add(-time.Hour),
		End: x.first.Add(3 * time.Hour), Finalized: true, Invoice: "in_7", InvoicedUnits: own,
		SeenAt: now,
	}
	if err := x.q.SavePeriods(t.Context(), []schema.StripePeriod{period}); err != nil {
		t.Fatal(err)
	}
	f(schema.SlotPending, own, 2, fmt.Sprint("invoice in_7; ", due, " units of the period"))
	c = schema.Carry{
		Organization: x.acme, Meter: "rest", From: period.Start, Number: 1, ID: uuid.New(),
		To: x.first.Add(20 * time.Hour), Units: due, CreatedAt: now,
	}
	if err := x.q.InsertCarry(t.Context(), c, time.Minute); err != nil {
		t.Fatal(err)
	}
	f(schema.SlotAcked, own, 2, "its period is on invoice in_7; what it lacked")
}

// estimatesOfAPeriod has an organization with a unit of usage an hour.
func estimatesOfAPeriod(t *testing.T, x explained) {
	q, acme, first := x.q, billingtest.Organization("hourly"), parsed(t, "2026-11-01T00:00:00Z")
	billingtest.Catalog(t, q, []schema.Organization{{
		ID: acme, Name: "hourly", Stripe: schema.StripeMapping{Customer: "cus_2", Meter: "m"},
	}}, nil)
	var uses []billingtest.Use
	for hour := range 48 {
		at := first.Add(time.Duration(hour)*time.Hour + 10*time.Minute)
		for _, o := range []uuid.UUID{acme, uuid.New()} {
			uses = append(uses,
				billingtest.Use{Organization: o, At: at, Type: schema.Input, Model: "a",
					Quantity: "1000", Billed: "0.000003"},
				billingtest.Use{Organization: o, At: at, Type: schema.Output, Model: "b", Quantity: "2"})
		}
	}
	billingtest.Usage(t, q, uses...)
	f := func(now string, p schema.EstimateParams, source, used, projected string, unpriced int64) {
		t.Helper()
		p.Organization = acme
		e, err := newReader(t, q, parsed(t, now)).Estimate(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if e.Source != source || e.CostUSD.String() != used || e.ProjectedUSD.String() != projected ||
			e.Unpriced != unpriced {
			t.Errorf("at %s: %s, %s, %s, %d; want %s, %s, %s, %d", now, e.Source, e.CostUSD,
				e.ProjectedUSD, e.Unpriced, source, used, projected, unpriced)
		}
		for _, m := range e.Meters {
			if m.Meter != "m" || len(m.Models) != 2 || m.Units != m.CostUSD.Micro().String() {
				t.Errorf("at %s: %+v", now, m)
			}
		}
	}
	open := schema.EstimateParams{}
	f("2026-11-03T00:00:00Z", open, "calendar_month", "0.000144", "0.00216", 48)
	// The running hour's usage counts, and so does the part of it that is over.
	f("2026-11-02T12:15:00Z", open, "calendar_month", "0.000111", "0.002204689655", 37)
	f("2026-11-01T00:15:00Z", open, "calendar_month", "0.000003", "0.000003", 1)
	f("2026-11-11T00:00:00Z", open, "calendar_month", "0.000144", "0.000144", 48) // none for a week
	f("2026-12-01T00:00:00Z", open, "calendar_month", "0", "0", 0)
	// A period that is over, one that has not begun, and one of which an hour is left.
	day := func(from, to int) schema.EstimateParams {
		return schema.EstimateParams{From: first.AddDate(0, 0, from), To: first.AddDate(0, 0, to)}
	}
	f("2026-11-20T00:00:00Z", day(0, 1), "request", "0.000072", "0.000072", 24)
	f("2026-11-01T00:00:00Z", day(1, 2), "request", "0", "0", 0)
	f("2026-11-01T23:00:00Z", day(0, 1), "request", "0.000069", "0.000072", 23)

	if err := q.SavePeriods(t.Context(), []schema.StripePeriod{{
		Organization: acme, Meter: "m", Start: first.AddDate(0, -1, 1), End: first.AddDate(0, 0, 1),
		Finalized: true, Invoice: "in_1", SeenAt: first.AddDate(0, 0, 1),
	}}); err != nil {
		t.Fatal(err)
	}
	f("2026-11-03T00:00:00Z", open, "stripe", "0.000072", "0.00216", 24)
}
