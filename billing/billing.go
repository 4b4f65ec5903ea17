package billing

import (
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
