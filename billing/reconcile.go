package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Reconcile holds what Stripe says it has against what it was told, keeps every comparison, and has
// slots that differ told again where the mode allows it.
func (r *Reporter) Reconcile(ctx context.Context) ([]schema.Comparison, error) {
	panic("not yet")
}
