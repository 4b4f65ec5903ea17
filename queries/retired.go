package queries

import (
	"context"

	"github.com/google/uuid"
)

// RetiredSequence is how many events of a run of a node's log went with the months that were dropped.
type RetiredSequence struct {
	Node   uuid.UUID
	Part   uint64 // as of Sequences
	Events uint64
}

var retiredSequences = ask("retired_sequences", bindNone, func(r *RetiredSequence) []any {
	return []any{&r.Node, &r.Part, &r.Events}
})

// RetiredSequences returns what was noted, before months were dropped, of the events they held.
func (q *Queries) RetiredSequences(ctx context.Context) ([]RetiredSequence, error) {
	return collect(ctx, q.conn, retiredSequences, none{})
}
