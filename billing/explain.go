package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Explain returns everything behind a slot's number.
func (r *Reporter) Explain(ctx context.Context, s schema.Slot) (schema.Explanation, error) {
	panic("not yet")
}
