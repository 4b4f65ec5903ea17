package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// SlotsParams asks for an organization's slots whose hours start in [From, To).
type SlotsParams struct {
	Organization uuid.UUID // zero: every one's
	From, To     time.Time
	Limit        uint64
}

// SlotStatus is a slot and what Stripe was told of it.
type SlotStatus struct {
	Slot       schema.Slot
	Unit       schema.MeterUnit
	Own        int64 // units of its own usage
	Carried    int64 // units that were carried into it
	CarriedOut int64 // units that were carried from it, or, at its start, from its period
	Told       int64 // units that Stripe has
	Unpriced   int64 // measurements without a rate
	Latest     schema.Revision
	Failures   uint32 // its newest revisions that Stripe did not keep, in a row
	Said       string // the detail of the newest outcome of the newest revision
	Closed     bool   // its period is invoiced
	Mapped     bool   // it has a meter and a customer
}

type slotStatusRow struct {
	SlotStatus
	unit, mode, verdict int8 // the numbers of Enum8s
	last                time.Time
}

var slotStatuses = ask("slot_statuses",
	func(p SlotsParams) []any {
		return []any{
			id("organization", p.Organization), second("from", p.From), second("to", p.To),
			number("limit", p.Limit),
		}
	},
	func(r *slotStatusRow) []any {
		l := &r.Latest
		return []any{
			&r.Slot.Organization, &r.Slot.Meter, &r.Slot.Start, &r.unit, &r.Own, &r.Carried,
			&r.CarriedOut, &r.Told, &r.Unpriced,
			&l.Revision, &r.mode, &l.Total, &l.Send, &l.Identifier, &l.Customer,
			&l.SubscriptionItem, &l.CreatedAt, &l.Writer, &r.verdict, &l.Attempts, &l.Rotations,
			&r.last, &r.Failures, &r.Said, &r.Closed, &r.Mapped,
		}
	}).with(reportSettings)

// SlotStatuses returns slots with usage, revisions or carries, ordered by hour, organization, meter.
func (q *Queries) SlotStatuses(ctx context.Context, p SlotsParams) ([]SlotStatus, error) {
	var all []SlotStatus
	err := stream(ctx, q.conn, slotStatuses, p, func(r slotStatusRow) error {
		s := r.SlotStatus
		s.Slot.Start, s.Unit = s.Slot.Start.UTC(), schema.MeterUnit(r.unit)
		if l := &s.Latest; l.Revision == 0 {
			*l = schema.Revision{}
		} else {
			l.Slot, l.Mode, l.Verdict = s.Slot, schema.ReportMode(r.mode), schema.Verdict(r.verdict)
			l.CreatedAt, l.LastAt = l.CreatedAt.UTC(), fromEpoch(r.last)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
