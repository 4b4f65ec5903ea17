package server

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// reports bounds what is asked from outside, and tells its clients to come back when the database
// could not be reached.
type reports struct{ behind dialect.Reports }

// Run has no bound but its client's: a pass ends by itself.
func (r *reports) Run(ctx context.Context) (schema.ReportRun, error) {
	run, err := r.behind.Run(ctx)
	return run, classified(err)
}

func (r *reports) Slots(
	ctx context.Context, p schema.SlotsParams,
) ([]schema.SlotReport, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	all, err := r.behind.Slots(ctx, p)
	return all, classified(err)
}

func (r *reports) Explain(ctx context.Context, s schema.Slot) (schema.Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	x, err := r.behind.Explain(ctx, s)
	return x, classified(err)
}

func (r *reports) Estimate(
	ctx context.Context, p schema.EstimateParams,
) (schema.Estimate, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	e, err := r.behind.Estimate(ctx, p)
	return e, classified(err)
}

func (r *reports) Notify(ctx context.Context, body []byte, signature string) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	return classified(r.behind.Notify(ctx, body, signature))
}

// classified returns what the reporter has a word for as it is; any other error is the database's.
func classified(err error) error {
	if schema.KindOf(err) != schema.Internal {
		return err
	}
	return unavailable(err)
}
