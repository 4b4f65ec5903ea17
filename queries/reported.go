package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// ReportedParams asks for what Stripe was told of slots whose hours start in [From, To).
type ReportedParams struct {
	Organization uuid.UUID // zero: every one's
	Meter        string    // empty: every one
	Mode         schema.ReportMode
	From, To     time.Time
	Settled      time.Time // slots with an open revision or an outcome after are said to be unsettled
}

// Reported is what Stripe was told of a slot.
type Reported struct {
	Slot     schema.Slot
	Customer string
	Item     string
	Ledger   int64 // units that are billable, carries included
	Told     int64 // units that Stripe accepted
	Latest   uint32
	Settled  bool
}

var reported = ask("reported",
	func(p ReportedParams) []any {
		return []any{
			id("organization", p.Organization), text("meter", p.Meter),
			number("mode", uint64(p.Mode)), second("from", p.From), second("to", p.To),
			moment("settled", p.Settled),
		}
	},
	func(r *Reported) []any {
		return []any{
			&r.Slot.Organization, &r.Slot.Meter, &r.Slot.Start, &r.Customer, &r.Item,
			&r.Ledger, &r.Told, &r.Latest, &r.Settled,
		}
	}).with(reportSettings)

// Reported returns what Stripe was told, of every slot with a revision, ordered by organization,
// meter and hour.
func (q *Queries) Reported(ctx context.Context, p ReportedParams) ([]Reported, error) {
	all, err := collect(ctx, q.conn, reported, p)
	for i := range all {
		all[i].Slot.Start = all[i].Slot.Start.UTC()
	}
	return all, err
}
