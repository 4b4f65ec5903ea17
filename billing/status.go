package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Status returns how far Stripe is told.
func (r *Reporter) Status(ctx context.Context) (schema.SystemReports, error) {
	status := schema.SystemReports{Enabled: r.cfg.Stripe != nil}
	runs, err := r.cfg.Queries.ReportRuns(ctx, 1)
	if err != nil {
		return status, err
	}
	if len(runs) > 0 {
		status.LastRunAt = runs[0].EndedAt.UTC()
	}
	b, err := r.backlog(ctx)
	status.OldestOpen, status.OpenSlots = b.Oldest, int64(b.Unsynced)
	return status, err
}
