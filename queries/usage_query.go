package queries

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Usage asks q and hands each row to each, whose error ends it. q is valid.
func (q *Queries) Usage(
	ctx context.Context, query schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	panic("not yet")
}

// UsageVersion returns a text that changes whenever the answer to query may have changed: inserts,
// mutations and dropped partitions of the tables it is answered from change it, merges do not.
func (q *Queries) UsageVersion(ctx context.Context, query schema.UsageQuery) (string, error) {
	panic("not yet")
}
