package retention

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

// Start goes on, until Stop, with erasures that nobody carries out, and replaces usage that comes in
// of people who were erased.
func (e *Eraser) Start() {
	var swept time.Time
	e.loop.start(goOnEvery/10, goOnEvery, func(ctx context.Context) {
		if !e.cfg.Mine() {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, eraseWithin)
		defer cancel()
		now := e.cfg.Now()
		sweep := now.Sub(swept) >= sweepEvery
		if err := e.GoOn(ctx, sweep); err != nil && ctx.Err() == nil {
			e.metrics.failed.Inc()
			e.cfg.Logger.Warn("erasures could not be gone on with, trying again", "error", err)
			return
		}
		if sweep {
			swept = now
		}
	})
}

// Stop ends what Start began, if it did. What was under way is gone on with after the next Start.
func (e *Eraser) Stop() { e.loop.stop() }

// GoOn carries out the erasures that were asked for more than a minute ago and are not done, and
// forgets the ids of those that are; with sweep, it looks as well for usage that came in of people
// who were erased. Its error is that of the first that failed.
func (e *Eraser) GoOn(ctx context.Context, sweep bool) error {
	all, err := e.cfg.Queries.Erasures(ctx, "")
	if err != nil {
		return err
	}
	open := 0
	var failed error
	for _, of := range all {
		if of.DoneAt.IsZero() {
			open++
		}
		if err := e.goOn(ctx, of, sweep); err != nil && failed == nil {
			failed = err
		}
	}
	e.metrics.under(open)
	return failed
}

func (e *Eraser) goOn(ctx context.Context, of queries.Erasure, sweep bool) error {
	now := e.cfg.Now()
	switch {
	case of.DoneAt.IsZero() && now.Sub(of.RequestedAt) < goOnEvery:
		return nil // whoever asked for it is at it
	case of.DoneAt.IsZero():
		_, err := e.carryOut(ctx, of, actor)
		return err
	case of.Lingers:
		return e.cfg.Queries.ForgetErased(ctx, of)
	case !sweep, now.Sub(of.DoneAt) > knownFor:
		return nil
	}
	user, ok, err := e.cfg.Queries.ErasedArrivals(ctx, of)
	if err != nil || !ok {
		return err
	}
	if _, back := e.cfg.Directory.Snapshot().Membership(of.Organization, user); back {
		return nil // under the same id, by an admin: what is new is theirs
	}
	e.metrics.late.Inc()
	of.User = user
	if of, err = e.reopen(ctx, of); err != nil {
		return err
	}
	_, err = e.carryOut(ctx, of, actor)
	return err
}
