package queries

import (
	"context"
	"time"
)

// Differences is what the newest comparisons of all meters came to.
type Differences struct {
	Units  uint64    // by which Stripe's sums differed, either way
	Newest time.Time // when the last comparison was made; zero: there is none
}

var differences = ask("differences",
	func(from time.Time) []any { return []any{moment("from", from)} },
	func(d *Differences) []any { return []any{&d.Units, &d.Newest} })

// Differences returns what the newest comparison of each meter of each organization came to, of
// those made since a moment.
func (q *Queries) Differences(ctx context.Context, from time.Time) (Differences, error) {
	d, _, err := first(ctx, q.conn, differences, from)
	d.Newest = fromEpoch(d.Newest)
	return d, err
}
