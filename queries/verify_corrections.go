package queries

import (
	"context"

	"github.com/google/uuid"
)

// CorrectionDefect is what is wrong with a correction of an organization: in the journal, or by
// what the ledger holds of it.
type CorrectionDefect struct {
	Organization uuid.UUID
	Problem      string // what the correction is
	Number       uint64
	Times        uint64 // how often, or how many
}

func bindMoments(p VerifyParams) []any {
	from, to := storable(p.From), latest
	if !p.To.IsZero() {
		to = storable(p.To)
	}
	return []any{moment("from", from), moment("to", to), number("limit", differencesMax)}
}

var verifyCorrections = ask("verify_corrections", bindMoments, func(d *CorrectionDefect) []any {
	return []any{&d.Organization, &d.Problem, &d.Number, &d.Times}
})

// VerifyCorrections returns what is wrong with the journal of corrections and their entries for
// events in [From, To), at most 1,000 defects. A correction under way shows as one that is not
// applied.
func (q *Queries) VerifyCorrections(
	ctx context.Context, p VerifyParams,
) ([]CorrectionDefect, error) {
	return collect(ctx, q.conn, verifyCorrections.with(p.settings()), p)
}
