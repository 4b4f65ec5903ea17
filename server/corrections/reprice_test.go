package corrections_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/corrections"
)

// everything is what a reprice without filters asks for.
func everything() corrections.RepriceParams {
	return corrections.RepriceParams{
		From: eventTime.AddDate(-1, 0, 0), To: eventTime.AddDate(0, 0, 1),
		Actor: "reprice by ada@desk", Reason: "reprice --from a --to b",
	}
}

// tokens returns an event whose input a rate may price.
func tokens(organization uuid.UUID, name, model string, agent uuid.UUID, n int64) schema.Event {
	return schema.Event{
		Organization: organization, ID: named(name), Entry: schema.Record, Time: eventTime,
		Agent: agent, Model: model, Chargeable: true,
		Measurements: []schema.Measurement{{
			UsageType: schema.Input, Quantity: schema.WholeQuantity(n),
		}},
	}
}

func reprice(t *testing.T, n *node, p corrections.RepriceParams) []string {
	t.Helper()
	rows, err := n.Reprice(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		name := map[uuid.UUID]string{acme: "acme", globex: "globex"}[r.Organization]
		lines = append(lines, fmt.Sprintf("%s %s %d: %s → %s, %s → %s", name, r.Model, r.Events,
			r.ProviderOld, r.ProviderNew, r.BilledOld, r.BilledNew))
	}
	slices.Sort(lines)
	return lines
}

func TestRepricePricesByTodaysRates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	old := tokens(acme, "old", "known", named("agent"), 1_000_000)
	old.Time = eventTime.AddDate(0, -2, 0)
	given := tokens(acme, "given", "known", uuid.Nil, 1_000_000)
	given.Measurements[0].Pricing = schema.Given
	given.Measurements[0].ProviderCost, given.Measurements[0].BilledCost = usd("9"), usd("9")
	free := tokens(acme, "free", "known", uuid.Nil, 1_000_000)
	free.Chargeable = false
	mixed := event("mixed", 10) // units at a given cost, and tokens
	mixed.Model = "known"
	mixed.Measurements = append(mixed.Measurements, schema.Measurement{
		UsageType: schema.Output, Quantity: schema.WholeQuantity(2_000_000),
	})
	late := tokens(acme, "late", "known", uuid.Nil, 1_000_000)
	late.Time = everything().To
	voided := tokens(acme, "voided", "known", uuid.Nil, 1_000_000)
	n.record(
		old, given, free, mixed, late, voided,
		tokens(acme, "other model", "later", uuid.Nil, 1_000_000),
		tokens(globex, "foreign", "known", uuid.Nil, 1_000_000),
	)
	if _, err := n.Correct(t.Context(), void(voided)); err != nil {
		t.Fatal(err)
	}

	f := func(p corrections.RepriceParams, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, reprice(t, n, p)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w.verify(n)
	}
	f(everything()) // as they were priced
	w.rates = ratesOf(t, "4", "7", "known", "later")

	dry := everything()
	dry.DryRun = true
	all := []string{
		"acme known 3: 8.5 → 16.5, 9.75 → 21.75",
		"acme later 1: 0 → 4, 0 → 7",
		"globex known 1: 2 → 4, 3 → 7",
	}
	before := w.total("usage_events")
	f(dry, all...)
	f(dry, all...)
	if after := w.total("usage_events"); after != before {
		t.Errorf("a dry run made %s of %s", after, before)
	}

	part := everything()
	part.Model = "later"
	f(part, "acme later 1: 0 → 4, 0 → 7")
	part = everything()
	part.Organization = globex
	f(part, "globex known 1: 2 → 4, 3 → 7")
	part = everything()
	part.To = eventTime
	f(part, "acme known 1: 2 → 4, 3 → 7")
	f(everything(), "acme known 2: 6.5 → 12.5, 6.75 → 14.75")
	f(everything()) // nothing is left to correct

	revision := n.revisions(mixed)[1]
	want := []schema.Measurement{
		mixed.Measurements[0],
		{
			UsageType: schema.Output, Quantity: schema.WholeQuantity(2_000_000),
			ProviderCost: usd("8"), BilledCost: usd("14"), Pricing: schema.Rated,
			Rate: revision.Event.Measurements[1].Rate,
		},
	}
	if !slices.Equal(want, revision.Event.Measurements) ||
		revision.Actor != "reprice by ada@desk" || revision.Reason != "reprice --from a --to b" {
		t.Errorf("repriced to %+v, want %+v", revision, want)
	}

	w.rates = ratesOf(t, "1", "1") // of "known" only: what is without a rate is unpriced again
	f(everything(), "acme known 3: 16.5 → 4.5, 21.75 → 3.75", "acme later 1: 4 → 0, 7 → 0",
		"globex known 1: 4 → 1, 7 → 1")
}

// TestRepriceTurnsEveryPage has more events than a page, of many agents and moments.
func TestRepriceTurnsEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	const events = 12_003
	w.fill(n, events)
	w.rates = ratesOf(t, "2", "5")
	want := []string{fmt.Sprintf("acme known %d: %s → %s, %s → %s", events,
		"0.024006", "0.024006", "0.036009", "0.060015")}
	if diff := cmp.Diff(want, reprice(t, n, everything())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.check(n, fmt.Sprintf("%d %d %d 0.060015", events, events, events))
	pages := w.db.Strings("SELECT toString(events) FROM corrections ORDER BY number")
	if diff := cmp.Diff([]string{"5000", "5000", "2003"}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if lines := reprice(t, n, everything()); lines != nil {
		t.Errorf("the second run corrects %v", lines)
	}
}

// fill puts events of one token each straight into the ledger, priced at 2 and 3 dollars a million.
func (w *world) fill(n *node, events int) {
	w.t.Helper()
	var batch queries.EventBatch
	for i := range events {
		e := tokens(acme, fmt.Sprint("event ", i), "known", named(fmt.Sprint("agent ", i%7)), 1)
		e.Time = e.Time.Add(-time.Duration(i%97) * 24 * time.Hour)
		if err := w.rates.Price(&e); err != nil {
			w.t.Fatal(err)
		}
		batch.Append(&e, named("node"), uint64(i+1))
	}
	if err := n.queries.InsertEvents(w.t.Context(), "fill", &batch); err != nil {
		w.t.Fatal(err)
	}
}

// TestRepriceBesideCorrections corrects events by hand while they are priced again: neither undoes
// the other.
func TestRepriceBesideCorrections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, other := w.node(), w.node()
	const events = 6_000
	w.fill(n, events)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	corrected := 0
	group.Go(func() {
		for ; ctx.Err() == nil; corrected++ {
			e := tokens(acme, fmt.Sprint("event ", corrected*37%events), "known", uuid.Nil, 0)
			if _, err := other.Correct(t.Context(), change(e, func(e *schema.Event) {
				m := &e.Measurements[0] // priced at the old rates, as a node that lags does
				m.Quantity = m.Quantity.Add(schema.WholeQuantity(1_000_000))
			})); err != nil {
				t.Error(err)
			}
		}
	})
	cheaper := *w
	cheaper.rates = ratesOf(t, "2", "5")
	repricer := cheaper.node()
	if _, err := repricer.Reprice(t.Context(), everything()); err != nil {
		t.Error(err)
	}
	cancel()
	group.Wait()
	if _, err := repricer.Reprice(t.Context(), everything()); err != nil {
		t.Error(err)
	}
	if corrected == 0 {
		t.Error("nothing was corrected meanwhile")
	}
	quantity := events + corrected*1_000_000
	billed, _ := schema.Cost(schema.WholeQuantity(int64(quantity)), usd("5"))
	w.check(n, fmt.Sprintf("%d %d %d %s", events, events, quantity, billed))
}

// TestInterruptedRepriceGoesOn ends a run in the middle of a page, and runs it again.
func TestInterruptedRepriceGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	const events = 5_100
	w.fill(n, events)
	w.rates = ratesOf(t, "2", "5")
	allow := w.refuse("consumption_monthly")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if w.open() { // the page is claimed, and cannot be applied
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if _, err := n.Reprice(ctx, everything()); schema.KindOf(err) != schema.Unavailable {
		t.Errorf("Reprice = %v, want Unavailable", err)
	}
	w.found(n, "is not applied")
	allow()
	reprice(t, w.node(), everything())
	w.check(n, fmt.Sprintf("%d %d %d 0.0255", events, events, events))
}
