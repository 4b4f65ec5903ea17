package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Estimate returns what an organization's period comes to.
func (r *Reporter) Estimate(
	ctx context.Context, p schema.EstimateParams,
) (schema.Estimate, error) {
	panic("not yet")
}
