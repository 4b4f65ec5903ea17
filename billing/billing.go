package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

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
	Tracer  trace.Tracer          // of passes nobody asked for; nil: they are not traced

	SealDelay  time.Duration // after a slot's hour, until it is told; 0: 10 minutes
	CarryEvery time.Duration // between carries from one origin; 0: 24 hours

	// CreditLimit is the percentage of what a period was invoiced, or an hour was told, up to which
	// a carry takes units off: whoever moves usage to another meter would refund what was billed.
	// 0: any amount.
	CreditLimit int

	Rate    int // calls of Stripe a second; 0: 80, with a test key 20
	Workers int // customers told at once; 0: 8
}

// The defaults of Config.
const (
	sealDelay  = 10 * time.Minute
	carryEvery = 24 * time.Hour
	callRate   = 80 // of the hundred that Stripe takes of usage records
	testRate   = 20 // of 25
	workers    = 8
)

// burst bounds the calls that are made at once after a pause.
const burst = 4

// Reporter tells Stripe what is billable. It is safe for use by many goroutines, and any number of
// Reporters may work on one database.
type Reporter struct {
	cfg     Config
	limit   *rate.Limiter // of every call of Stripe
	turn    chan struct{} // a pass of this Reporter has it: two would only be in each other's way
	metrics *metrics
	carried time.Time   // when carries were last looked for; who has the turn uses it
	claimed atomic.Bool // the database's account is the key's
	crash   func(step string) error
}

// New returns a Reporter. It starts nothing.
func New(c Config) (*Reporter, error) {
	switch {
	case c.Queries == nil || c.Now == nil || c.Logger == nil:
		return nil, errors.New("billing: a database, a clock and a logger are needed")
	case c.Writer == uuid.Nil:
		return nil, errors.New("billing: the writer is the instance's id, and must not be zero")
	case c.Mode.String() == "":
		return nil, errors.New("billing: the mode must be preaggregated, usage_record or raw")
	case c.SealDelay < 0 || c.CarryEvery < 0 || c.CreditLimit < 0 || c.Rate < 0 || c.Workers < 0:
		return nil, errors.New("billing: delays, the rate and the workers must not be negative")
	case c.Rate > int(time.Second/time.Microsecond):
		return nil, fmt.Errorf("billing: a rate of %d calls a second is too high", c.Rate)
	}
	if c.SealDelay == 0 {
		c.SealDelay = sealDelay
	}
	if c.CarryEvery == 0 {
		c.CarryEvery = carryEvery
	}
	if c.Rate == 0 {
		c.Rate = callRate
		if c.Stripe != nil && c.Stripe.TestMode() {
			c.Rate = testRate
		}
	}
	if c.Workers == 0 {
		c.Workers = workers
	}
	return &Reporter{
		cfg:     c,
		limit:   rate.NewLimiter(rate.Every(time.Second/time.Duration(c.Rate)), burst),
		turn:    make(chan struct{}, 1),
		metrics: newMetrics(c.Metrics),
	}, nil
}

// now returns the time as the database keeps it.
func (r *Reporter) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Microsecond) }

// The steps of a pass that leave a trace, as tests that let it crash there name them.
const (
	stepFreeze   = "freeze"   // before a batch of intents is written
	stepFrozen   = "frozen"   // after
	stepSend     = "send"     // before a call that tells Stripe of a revision
	stepSent     = "sent"     // after, before anything is known of its answer
	stepOutcomes = "outcomes" // before outcomes are written
	stepNoted    = "noted"    // after
	stepCarry    = "carry"    // before a carry is written
	stepCarried  = "carried"  // after
	stepNotice   = "notice"   // before what a notice says is written
	stepDealt    = "dealt"    // after
	stepEnd      = "end"      // before the pass itself is written
)

// crashed ends a pass as the end of its process would: nothing is written after it.
type crashed struct{ error }

func (c crashed) Unwrap() error { return c.error }

// step returns an error when a test wants the pass to crash.
func (r *Reporter) step(name string) error {
	if r.crash == nil {
		return nil
	}
	if err := r.crash(name); err != nil {
		return crashed{fmt.Errorf("crash at %s: %w", name, err)}
	}
	return nil
}

// pause waits until Stripe may be called once more.
func (r *Reporter) pause(ctx context.Context) error { return r.limit.Wait(ctx) }
