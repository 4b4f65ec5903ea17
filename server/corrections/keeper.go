package corrections

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// keepInterval is how often the keeper looks for corrections that nobody finishes. What is open
// when it looks twice is finished: whoever claimed it is gone, or slow, and helping does no harm.
const keepInterval = 2 * time.Second

// keepShare bounds the part of its time that the keeper spends looking, however long the journal.
const keepShare = 20

// finishTimeout bounds the keeper's work for one organization in one pass.
const finishTimeout = 15 * time.Second

// Start finishes corrections that a crash left open, on this node or another, and takes back what
// two nodes accepted, until Stop.
func (c *Corrector) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.work.Go(func() { c.keep(ctx) })
	if c.cfg.Doubled != nil {
		c.work.Go(func() { c.sweeps(ctx) })
	}
}

// Stop ends what Start began, if it did. What it was finishing is finished after the next Start.
func (c *Corrector) Stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	c.work.Wait()
}

func (c *Corrector) keep(ctx context.Context) {
	seen := make(map[uuid.UUID]uint64) // the open number of each organization
	failing := false
	for {
		began := c.cfg.Now()
		open, err := c.cfg.Queries.OpenCorrections(ctx)
		took := c.cfg.Now().Sub(began)
		if err == nil {
			seen, err = c.pass(ctx, open, seen)
		}
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			c.cfg.Logger.Warn("open corrections cannot be finished, trying again", "error", err)
		case err == nil && failing:
			c.cfg.Logger.Info("open corrections can be finished again")
		}
		failing = err != nil
		select {
		case <-time.After(max(keepInterval, keepShare*took)):
		case <-ctx.Done():
			return
		}
	}
}

// pass finishes what was open before and still is, and returns what is open now. Its error is that
// of the last organization whose correction could not be finished; all are tried.
func (c *Corrector) pass(
	ctx context.Context, open []queries.CorrectionsState, before map[uuid.UUID]uint64,
) (map[uuid.UUID]uint64, error) {
	var failed error
	now := make(map[uuid.UUID]uint64, len(open))
	for _, state := range open {
		number := state.Applied + 1
		if before[state.Organization] == number {
			err := c.finish(ctx, state.Organization)
			if err == nil {
				continue
			}
			failed = err
		}
		now[state.Organization] = number
	}
	c.count(before, now)
	return now, failed
}

// count moves the gauge of open corrections.
func (c *Corrector) count(before, now map[uuid.UUID]uint64) {
	for organization := range now {
		if _, ok := before[organization]; !ok {
			c.metrics.open.Inc()
		}
	}
	for organization := range before {
		if _, ok := now[organization]; !ok {
			c.metrics.open.Dec()
		}
	}
}

// finish applies what is open of an organization, unless this node is correcting it right now.
func (c *Corrector) finish(ctx context.Context, organization uuid.UUID) error {
	turn := c.turnOf(organization)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	_, err := c.settle(ctx, organization)
	return err
}
