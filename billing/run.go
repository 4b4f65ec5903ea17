package billing

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

// Run makes one pass: what Stripe sent is dealt with, what cannot be told where it belongs is
// carried, and every slot that has something to be told is, until nothing is left or the pass has
// to end. The error is of the database; how Stripe answered is in the run.
func (r *Reporter) Run(ctx context.Context) (schema.ReportRun, error) { panic("not yet") }
