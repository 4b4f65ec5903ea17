package billing

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// Config is what a Reporter needs.
type Config struct {
	Queries *queries.Queries
	Stripe  *Client // nil: slots are computed and shown, and nothing is sent
	Mode    schema.ReportMode
	Writer  uuid.UUID // of the instance, a fresh one each start
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: none

	SealDelay  time.Duration // after a slot's hour, until it is told; 0: 10 minutes
	CarryEvery time.Duration // between carries from one origin; 0: 24 hours
	Rate       int           // calls of Stripe a second; 0: 80, with a test key 20
	Workers    int           // customers told at once; 0: 8
}

// Reporter tells Stripe what is billable. It is safe for use by many goroutines, and any number of
// Reporters may work on one database.
type Reporter struct{ cfg Config }

// New returns a Reporter. It starts nothing.
func New(c Config) (*Reporter, error) { panic("not yet") }

// Run makes one pass: what Stripe sent is dealt with, what cannot be told where it belongs is
// carried, and every slot that has something to be told is, until nothing is left or the pass has
// to end. The error is of the database; how Stripe answered is in the run.
func (r *Reporter) Run(ctx context.Context) (schema.ReportRun, error) { panic("not yet") }

// Reconcile holds what Stripe says it has against what it was told, keeps every comparison, and has
// slots that differ told again where the mode allows it.
func (r *Reporter) Reconcile(ctx context.Context) ([]schema.Comparison, error) {
	panic("not yet")
}

// Slots returns slots ordered by hour, organization and meter.
func (r *Reporter) Slots(
	ctx context.Context, p schema.SlotsParams,
) ([]schema.SlotReport, error) {
	panic("not yet")
}

// Explain returns everything behind a slot's number.
func (r *Reporter) Explain(ctx context.Context, s schema.Slot) (schema.Explanation, error) {
	panic("not yet")
}

// Estimate returns what an organization's period comes to.
func (r *Reporter) Estimate(
	ctx context.Context, p schema.EstimateParams,
) (schema.Estimate, error) {
	panic("not yet")
}

// Notify takes an event that Stripe sent, and returns once it is stored.
func (r *Reporter) Notify(ctx context.Context, body []byte, signature string) error {
	panic("not yet")
}
