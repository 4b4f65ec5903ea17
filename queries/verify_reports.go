package queries

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// ReportDefect is what is wrong with what Stripe is told, by our own records of it.
type ReportDefect struct {
	Table        string
	Organization uuid.UUID // zero: of a batch
	Meter        string
	Start        time.Time // of the slot's hour; of a carry, where it comes from
	Thing        string    // revision, carry or batch
	Number       uint64    // of the thing
	Problem      string    // what the thing is or has
	Times        uint64    // how often, or how many
}

var verifyReports = ask("verify_reports", bindMoments, func(d *ReportDefect) []any {
	return []any{
		&d.Table, &d.Organization, &d.Meter, &d.Start, &d.Thing, &d.Number, &d.Problem, &d.Times,
	}
})

// VerifyReports returns what is wrong with the records of what Stripe is told of hours in
// [From, To), and with the batches they were written in, at most 1,000 defects. Each of them breaks
// what the reporter relies on, and none of them mends itself.
func (q *Queries) VerifyReports(ctx context.Context, p VerifyParams) ([]ReportDefect, error) {
	return collect(ctx, q.conn, verifyReports.with(p.settings()), p)
}
