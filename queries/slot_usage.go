package queries

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// SlotEventsParams asks for the first of a slot's events.
type SlotEventsParams struct {
	Slot  schema.Slot
	Limit uint64
}

type slotUsageRow struct {
	schema.SlotUsage
	pricing int8 // the number of an Enum8
}

var (
	slotUsage = ask("slot_usage", bindSlot, func(r *slotUsageRow) []any {
		return []any{
			&r.UsageType, &r.Model, &r.Rate, &r.pricing, &r.Events, &r.Measurements,
			&r.Quantity, &r.BilledCost,
		}
	})
	slotEvents = ask("slot_events",
		func(p SlotEventsParams) []any {
			return append(bindSlot(p.Slot), number("limit", p.Limit))
		},
		func(e *schema.SlotEvent) []any {
			return []any{
				&e.Event, &e.Revision, &e.Reversal, &e.Time, &e.UsageType, &e.Model,
				&e.Quantity, &e.BilledCost, &e.Rate,
			}
		})
)

// SlotUsage returns what a slot's number is made of, by usage type, model and rate, from the
// ledger itself.
func (q *Queries) SlotUsage(ctx context.Context, s schema.Slot) ([]schema.SlotUsage, error) {
	rows, err := collect(ctx, q.conn, slotUsage, s)
	var all []schema.SlotUsage
	for _, row := range rows {
		row.Pricing = schema.Pricing(row.pricing)
		all = append(all, row.SlotUsage)
	}
	return all, err
}

// SlotEvents returns the ledger's rows that a slot counts, ordered by time.
func (q *Queries) SlotEvents(ctx context.Context, p SlotEventsParams) ([]schema.SlotEvent, error) {
	all, err := collect(ctx, q.conn, slotEvents, p)
	for i := range all {
		all[i].Time = all[i].Time.UTC()
	}
	return all, err
}
