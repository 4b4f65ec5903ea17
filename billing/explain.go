package billing

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// explainedEvents is how many of a slot's events an explanation has.
const explainedEvents = 100

// Explain returns everything behind a slot's number. NotFound when there is no usage, revision or
// carry.
func (r *Reporter) Explain(ctx context.Context, s schema.Slot) (schema.Explanation, error) {
	none := schema.Explanation{}
	s.Start = s.Start.UTC()
	if !s.Start.Equal(s.Start.Truncate(schema.SlotLength)) {
		return none, schema.Errorf(schema.Invalid, "slot", "must start with an hour")
	}
	all, err := r.cfg.Queries.SlotStatuses(ctx, queries.SlotsParams{
		Organization: s.Organization, From: s.Start, To: s.End(), Limit: slotsMax,
	})
	if err != nil {
		return none, err
	}
	all = slices.DeleteFunc(all, func(o queries.SlotStatus) bool {
		return o.Slot.Organization != s.Organization || o.Slot.Meter != s.Meter
	})
	if len(all) == 0 {
		return none, schema.Errorf(schema.NotFound, "slot",
			"nothing was used, told or carried there")
	}
	look, err := r.lookAt(ctx, s.Organization, all)
	if err != nil {
		return none, err
	}
	e := schema.Explanation{Report: look.report(all[0])}
	if err := r.explainUsage(ctx, s, &e); err != nil {
		return none, err
	}
	if e.Revisions, err = r.cfg.Queries.SlotRevisions(ctx, s); err != nil {
		return none, err
	}
	if e.Outcomes, err = r.cfg.Queries.SlotOutcomes(ctx, s); err != nil {
		return none, err
	}
	if e.Carries, err = r.cfg.Queries.SlotCarries(ctx, s); err != nil {
		return none, err
	}
	return e, nil
}

// explainUsage adds what a slot's own usage is made of, from the ledger itself.
func (r *Reporter) explainUsage(
	ctx context.Context, s schema.Slot, e *schema.Explanation,
) (err error) {
	if e.Usage, err = r.cfg.Queries.SlotUsage(ctx, s); err != nil {
		return err
	}
	e.Exact, e.Rounded = rounded(e.Usage, e.Report.Unit)
	if e.Rates, err = r.cfg.Queries.Rates(ctx, ratesOf(e.Usage)); err != nil {
		return err
	}
	e.Events, err = r.cfg.Queries.SlotEvents(ctx, queries.SlotEventsParams{
		Slot: s, Limit: explainedEvents + 1,
	})
	if len(e.Events) > explainedEvents {
		e.Events, e.More = e.Events[:explainedEvents], true
	}
	return err
}

// ratesOf returns the ids of the rates that made a slot's costs, each once.
func ratesOf(usage []schema.SlotUsage) (all []uuid.UUID) {
	for _, u := range usage {
		if u.Rate != uuid.Nil && !slices.Contains(all, u.Rate) {
			all = append(all, u.Rate)
		}
	}
	return all
}

// unitsClamp bounds the units of a slot as SQL does, so that both say the same of a number that is
// far too large to be sent.
const unitsClamp = 1_000_000_000_000_000_000

// rounded returns the decimal that a slot's usage comes to in its meter's unit, and that decimal
// rounded half to even, as billing does: once for the whole slot.
func rounded(usage []schema.SlotUsage, unit schema.MeterUnit) (exact string, units int64) {
	var sum schema.Quantity
	for _, u := range usage {
		if unit == schema.MicroUSD {
			sum = sum.Add(u.BilledCost.Micro())
		} else {
			sum = sum.Add(u.Quantity)
		}
	}
	return sum.String(), max(-unitsClamp, min(sum.Round(), unitsClamp))
}
