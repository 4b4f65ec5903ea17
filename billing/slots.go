package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Slots returns slots ordered by hour, organization and meter.
func (r *Reporter) Slots(
	ctx context.Context, p schema.SlotsParams,
) ([]schema.SlotReport, error) {
	panic("not yet")
}
