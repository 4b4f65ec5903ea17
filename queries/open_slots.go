package queries

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// OpenSlotsParams asks for the slots that have something to be told.
type OpenSlotsParams struct {
	Mode   schema.ReportMode
	From   time.Time // windows before are too old for Stripe: only open revisions of them are listed
	Sealed time.Time // usage of windows that end after is not told yet, unless its period is drafted
	Now    time.Time // for what rests
	Limit  uint64
}

// OpenSlot is a slot whose usage is not what Stripe was told, or of which a revision is open.
type OpenSlot struct {
	Slot     schema.Slot
	Own      int64  // units of its own usage, rounded half to even once; 0 when it is too old
	Carried  int64  // units that were carried into it; 0 when it is too old
	Latest   uint32 // its newest revision; 0: none
	Customer string // of its newest revision: a slot stays with whom it was first reported for
	Item     string // the subscription item of its newest revision
	Told     int64  // units that Stripe has: of the newest revision it has; in mode Raw, of all
	Failures uint32 // its newest revisions that Stripe did not keep, in a row

	// Open is the revision that may still be sent; Revision 0: none. In mode Raw the oldest; in the
	// others the newest, as it replaces those before it.
	Open     schema.Revision
	Sendable bool // Stripe still takes its window, and its period is not closed
}

// Want is what Stripe has to have of the slot.
func (s OpenSlot) Want() int64 { return s.Own + s.Carried }

type openSlotRow struct {
	OpenSlot
	mode, verdict int8
	created, last time.Time
}

var openSlots = ask("open_slots",
	func(p OpenSlotsParams) []any {
		return []any{
			number("mode", uint64(p.Mode)), second("from", p.From), second("sealed", p.Sealed),
			moment("now", p.Now), number("limit", p.Limit),
		}
	},
	func(r *openSlotRow) []any {
		return []any{
			&r.Slot.Organization, &r.Slot.Meter, &r.Slot.Start, &r.Own, &r.Carried, &r.Latest,
			&r.Customer, &r.Item, &r.Told, &r.Failures,
			&r.Open.Revision, &r.mode, &r.Open.Total, &r.Open.Send, &r.Open.Identifier,
			&r.created, &r.Open.Writer, &r.verdict, &r.Open.Attempts, &r.Open.Rotations,
			&r.last, &r.Sendable,
		}
	}).with(reportSettings)

// OpenSlots returns the slots that have something to be told and do not rest, the oldest first: a
// slot of which Stripe refused a revision rests an hour, then two, up to a day; one whose revision
// got no answer a minute, then two, up to an hour; in mode Raw one whose revision is older than 20
// hours until two hours later, and then an hour each time. Slots without a meter, of periods that
// are closed, and of more than schema.SlotUnitsMax are only among them when a revision is open, and
// so are hours before the organization's Stripe.Since: what was told of them stands. Windows more
// than 35 days before From are left alone.
func (q *Queries) OpenSlots(ctx context.Context, p OpenSlotsParams) ([]OpenSlot, error) {
	var all []OpenSlot
	err := stream(ctx, q.conn, openSlots, p, func(r openSlotRow) error {
		all = append(all, r.slot())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (r openSlotRow) slot() OpenSlot {
	s := r.OpenSlot
	s.Slot.Start = s.Slot.Start.UTC()
	if s.Open.Revision == 0 {
		s.Open = schema.Revision{}
		return s
	}
	s.Open.Slot, s.Open.Mode = s.Slot, schema.ReportMode(r.mode)
	s.Open.Verdict = schema.Verdict(r.verdict)
	s.Open.Customer, s.Open.SubscriptionItem = s.Customer, s.Item
	s.Open.CreatedAt, s.Open.LastAt = r.created.UTC(), fromEpoch(r.last)
	return s
}
