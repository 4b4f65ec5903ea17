package queries

import (
	"context"

	"github.com/google/uuid"
)

// CorrectionDefect is what is wrong with an organization's journal of corrections, or with what a
// correction did to the ledger.
type CorrectionDefect struct {
	Organization uuid.UUID
	Problem      string    // what a Number, or an Event's Revision, is
	Number       uint64    // of a correction; 0: it is about an event
	Event        uuid.UUID // zero: it is about a correction
	Revision     uint32
	Times        uint64 // how often, or how many
}

var verifyCorrections = ask("verify_corrections", bindMoments, func(d *CorrectionDefect) []any {
	return []any{&d.Organization, &d.Problem, &d.Number, &d.Event, &d.Revision, &d.Times}
})

// VerifyCorrections returns what is wrong with the journal of corrections and with the revisions of
// events in [From, To), at most 1,000 defects. A correction under way shows as one that is not
// applied.
func (q *Queries) VerifyCorrections(
	ctx context.Context, p VerifyParams,
) ([]CorrectionDefect, error) {
	return collect(ctx, q.conn, verifyCorrections.with(verifySettings), p)
}
