// Package corrections changes what the ledger says of events, by reversals and replacements.
package corrections

import (
	"context"
	"log/slog"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// Config is what a Corrector needs.
type Config struct {
	Queries  *queries.Queries
	Snapshot func() *access.Snapshot     // for rates
	Flush    func(context.Context) error // stores what this node acknowledged; nil: nothing to
	Now      func() time.Time
	Logger   *slog.Logger
}

// Corrector implements dialect.Corrector.
type Corrector struct{ cfg Config }

// New returns a Corrector. It starts nothing.
func New(c Config) *Corrector { return &Corrector{cfg: c} }

// Start finishes corrections that a crash left open, now and whenever one is found, until Stop.
func (c *Corrector) Start() {}

// Stop ends what Start began.
func (c *Corrector) Stop() {}

// Correct implements dialect.Corrector.
func (c *Corrector) Correct(
	ctx context.Context, p dialect.CorrectParams,
) (dialect.Revision, error) {
	return dialect.Revision{}, schema.Errorf(schema.Unavailable, "", "is being built")
}
