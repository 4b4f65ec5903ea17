package queries

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// BatchSequencesParams names the events First to Last, both included, of a node's log, which
// happened in [From, To).
type BatchSequencesParams struct {
	Node        uuid.UUID
	First, Last uint64
	From, To    time.Time
}

var batchSequences = ask("batch_sequences", func(p BatchSequencesParams) []any {
	return []any{
		id("node", p.Node),
		number("first", p.First),
		number("last", p.Last),
		moment("from", storable(p.From)),
		moment("to", storable(p.To)),
	}
}, func(r *uint64) []any { return []any{r} })

// BatchSequences returns the sequences that the ledger holds, in no order.
func (q *Queries) BatchSequences(
	ctx context.Context, p BatchSequencesParams,
) (map[uint64]struct{}, error) {
	stored := make(map[uint64]struct{})
	err := stream(ctx, q.conn, batchSequences, p, func(sequence uint64) error {
		stored[sequence] = struct{}{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}
