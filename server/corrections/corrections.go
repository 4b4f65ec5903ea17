package corrections

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// Config is what a Corrector needs.
type Config struct {
	Queries  *queries.Queries
	Snapshot func() *access.Snapshot     // for rates
	Flush    func(context.Context) error // stores what this node acknowledged; nil: nothing to
	Gate     Gate                        // before the ledger; nil: nobody else closes it
	Doubled  Doubled                     // what other nodes accepted as well; nil: nobody knows
	Window   time.Duration               // for which idempotency keys are known; default 34 days
	Now      func() time.Time
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // nil: nobody looks
}

// Corrector implements dialect.Corrector. It is safe for concurrent use.
type Corrector struct {
	cfg     Config
	metrics *metrics

	mu    sync.Mutex
	turns map[uuid.UUID]chan struct{} // of each organization that was corrected here; capacity 1

	cancel context.CancelFunc // ends the keeper and the sweep
	work   sync.WaitGroup
}

// Gate stands before the ledger: an insert is between Enter and Leave. *ingest.Gate is a node's,
// *ingest.Guest a command's.
type Gate interface {
	Enter(ctx context.Context) error
	Leave()
}

// correctTimeout bounds one correction, waiting for others of the organization's included.
const correctTimeout = 20 * time.Second

// flushTimeout bounds the wait for an event that this node may have acknowledged a moment ago.
const flushTimeout = 5 * time.Second

// New returns a Corrector. It starts nothing.
func New(c Config) *Corrector {
	if c.Window == 0 {
		c.Window = 34 * 24 * time.Hour
	}
	if c.Gate == nil {
		c.Gate = new(ingest.Gate)
	}
	return &Corrector{
		cfg:     c,
		metrics: newMetrics(c.Metrics),
		turns:   make(map[uuid.UUID]chan struct{}),
	}
}

// errUnknown is an event that the ledger does not have.
var errUnknown = schema.Errorf(schema.NotFound, "id", "is unknown")

// Correct implements dialect.Corrector.
func (c *Corrector) Correct(
	ctx context.Context, p dialect.CorrectParams,
) (dialect.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, correctTimeout)
	defer cancel()
	made, err := c.correct(ctx, p)
	if errors.Is(err, errUnknown) && c.cfg.Flush != nil {
		if err := c.flush(ctx); err != nil {
			return dialect.Revision{}, unavailable(err)
		}
		made, err = c.correct(ctx, p)
	}
	if err != nil {
		return dialect.Revision{}, unavailable(err)
	}
	return made, nil
}

func (c *Corrector) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	return c.cfg.Flush(ctx)
}

func (c *Corrector) correct(
	ctx context.Context, p dialect.CorrectParams,
) (dialect.Revision, error) {
	var made dialect.Revision
	_, err := c.write(ctx, job{
		organization: p.Organization, actor: p.Actor, reason: p.Reason,
		build: func(ctx context.Context, now time.Time) (draft, error) {
			all, err := c.cfg.Queries.EventRevisions(ctx, queries.EventParams{
				Organization: p.Organization, Event: p.Event,
			})
			if err != nil {
				return draft{}, err
			}
			if len(all) == 0 {
				return draft{}, errUnknown
			}
			var d draft
			made, err = c.revise(&d, all[len(all)-1], p, now)
			return d, err
		},
	})
	return made, err
}

// revise adds to d what makes of an event's current revision what p says, and returns what the
// ledger will say then. It adds nothing when that is what it says already.
func (c *Corrector) revise(
	d *draft, current queries.Revision, p dialect.CorrectParams, now time.Time,
) (dialect.Revision, error) {
	if current.Reversed {
		return dialect.Revision{}, schema.Errorf(schema.NotFound, "id", "is voided")
	}
	made := dialect.Revision{
		Event: current.Event, At: current.Event.IngestTime,
		By: current.Actor, Reason: current.Reason,
	}
	next, err := p.Change(copied(current.Event))
	if err != nil {
		return dialect.Revision{}, final{err}
	}
	if next == nil {
		d.replace(current.Event, nil, now)
		made.Reversed, made.Voided = true, true
		made.VoidedAt, made.VoidedBy, made.VoidedReason = now, p.Actor, p.Reason
		return made, nil
	}
	e := *next
	if same(current.Event, e) {
		return made, nil
	}
	follow(&e, current.Event, now)
	if err := c.price(&e); err != nil {
		return dialect.Revision{}, err
	}
	if same(current.Event, e) {
		return made, nil
	}
	d.replace(current.Event, &e, now)
	return dialect.Revision{Event: e, At: now, By: p.Actor, Reason: p.Reason}, nil
}

// price validates an event and prices it by the rates of its time. The error is a real nil.
func (c *Corrector) price(e *schema.Event) error {
	if err := ingest.Validate(e); err != nil {
		return err
	}
	if err := c.cfg.Snapshot().Price(e); err != nil {
		return err
	}
	return nil
}

// retryAfter is when to ask again after a correction that was not made in time.
const retryAfter = 2 * time.Second

// final is an error that asking again does not change: it is told as it is.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// unavailable tells a client to come back when the database could not be reached or others were
// first too long; what the database answered with is internal.
func unavailable(err error) error {
	if f := (final{}); errors.As(err, &f) {
		return f.error
	}
	if e := (*schema.Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	if !queries.Unreachable(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errUnavailable()
}

func errUnavailable() error {
	return &schema.Error{
		Kind:       schema.Unavailable,
		Message:    "the correction may still be made, or not; look, or try again",
		RetryAfter: retryAfter,
	}
}
