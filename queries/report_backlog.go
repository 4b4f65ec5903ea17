package queries

import (
	"context"
	"time"
)

// ReportBacklog is how far the reports are, of everybody.
type ReportBacklog struct {
	Unsynced      uint64    // slots, sealed, that Stripe was told otherwise of
	Oldest        time.Time // start of the oldest of them; zero: there is none
	Unmapped      uint64    // slots with usage that no meter counts
	UnmappedUnits int64     // micro-USD of them
	TooLarge      uint64    // slots of more than schema.SlotUnitsMax
	Conflicts     uint64    // revisions with verdict KeyConflict: must be none
	Rejected      uint64    // slots whose newest revision Stripe refused
}

var reportBacklog = ask("report_backlog",
	func(p OpenSlotsParams) []any {
		return []any{
			number("mode", uint64(p.Mode)), second("from", p.From), second("sealed", p.Sealed),
			moment("now", p.Now),
		}
	},
	func(b *ReportBacklog) []any {
		return []any{
			&b.Unsynced, &b.Oldest, &b.Unmapped, &b.UnmappedUnits, &b.TooLarge, &b.Conflicts,
			&b.Rejected,
		}
	}).with(reportSettings)

// ReportBacklog returns how far the reports are, of slots that Stripe still takes. Params are those
// of OpenSlots, whose Limit does not matter.
func (q *Queries) ReportBacklog(
	ctx context.Context, p OpenSlotsParams,
) (ReportBacklog, error) {
	b, _, err := first(ctx, q.conn, reportBacklog, p)
	b.Oldest = fromEpoch(b.Oldest)
	return b, err
}
