package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// EraserConfig is what an Eraser needs.
type EraserConfig struct {
	Queries   *queries.Queries
	Directory *access.Directory
	Now       func() time.Time
	Logger    *slog.Logger

	Flush   func(context.Context) error // stores what this node acknowledged; nil: it has no log
	Exports dialect.Exports             // whose files name people; nil: there are none
	Mine    func() bool                 // whether this of all nodes goes on with erasures; nil: it does
	Metrics prometheus.Registerer       // nil: nobody looks

	step func(string) error // tests stop an erasure with it
}

// Eraser implements dialect.Erasures.
//
// A request is stored first, with the person's id. Then everything that names the person is made to
// name the replacement, each place in a step that may be done again, until nothing is found that
// does; then the id is forgotten. What another node's log still holds comes in later: for 35 days
// the person is known by a hash, and what comes is replaced within the hour.
type Eraser struct {
	cfg     EraserConfig
	metrics *eraserMetrics
	turn    chan struct{} // one erasure at a time
	loop    loop
}

// NewEraser returns an Eraser. It starts nothing.
func NewEraser(c EraserConfig) *Eraser {
	if c.Mine == nil {
		c.Mine = func() bool { return true }
	}
	if c.step == nil {
		c.step = func(string) error { return nil }
	}
	return &Eraser{
		cfg: c, metrics: newEraserMetrics(c.Metrics), turn: make(chan struct{}, 1),
	}
}

const (
	answerWithin = 25 * time.Second // Erase; what takes longer goes on by itself
	eraseWithin  = 2 * time.Hour    // a try of Start's
	flushWithin  = 5 * time.Second
	looksMax     = 10          // at what still names a person
	goOnEvery    = time.Minute // looks for erasures that nobody carries out
	sweepEvery   = time.Hour   // looks for usage of those who were erased
	knownFor     = 35 * 24 * time.Hour
)

// actor stands in the record of changes for what goes on by itself.
const actor = "meterhouse erasure"

// Erase implements dialect.Erasures. What it returns is not done when that takes longer than 25
// seconds: it goes on by itself.
func (e *Eraser) Erase(
	ctx context.Context, organization, user uuid.UUID, by string,
) (schema.Erasure, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	found, err := e.request(ctx, organization, user)
	if err != nil || !found.DoneAt.IsZero() {
		found.User = user
		return found.Erasure, unavailable(err)
	}
	done, err := e.carryOut(ctx, found, by)
	done.User = user
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Warn("an erasure failed, trying again", "erasure", found.ID, "error", err)
		return schema.Erasure{}, unavailable(err)
	}
	return done.Erasure, nil
}

// unavailable returns an error a client can do something about as it is, and hides any other.
func unavailable(err error) error {
	if err == nil || schema.KindOf(err) != schema.Internal {
		return err
	}
	return &schema.Error{
		Kind: schema.Unavailable, RetryAfter: 10 * time.Second,
		Message: "the database did not do it; once asked for it goes on by itself: ask again",
	}
}

// request returns the erasure of a user, that of an earlier request if there is one.
func (e *Eraser) request(
	ctx context.Context, organization, user uuid.UUID,
) (queries.Erasure, error) {
	asked := queries.Erasure{
		Erasure: schema.Erasure{
			Organization: organization, User: user, Replacement: uuid.New(),
			RequestedAt: e.cfg.Now().UTC().Truncate(time.Microsecond),
		},
		ID: uuid.New(), Subject: schema.ErasureSubject(organization, user),
	}
	for attempt := 0; ; attempt++ {
		all, err := e.cfg.Queries.Erasures(ctx, asked.Subject)
		if err != nil {
			return queries.Erasure{}, err
		}
		if len(all) > 0 {
			return e.again(ctx, all[0], user)
		}
		if attempt == 0 {
			known, err := e.known(ctx, asked)
			if err != nil {
				return queries.Erasure{}, err
			}
			if !known {
				return queries.Erasure{}, schema.Errorf(schema.NotFound, "id", "is unknown")
			}
		}
		if err := e.cfg.Queries.ClaimErasure(ctx, asked, attempt); err != nil {
			return queries.Erasure{}, err
		}
	}
}

// known reports whether an organization has anything of a user.
func (e *Eraser) known(ctx context.Context, of queries.Erasure) (bool, error) {
	s := e.cfg.Directory.Snapshot()
	if _, ok := s.Membership(of.Organization, of.User); ok {
		return true, nil
	}
	_, ok, err := e.cfg.Queries.ErasedArrivals(ctx, of)
	return ok, err
}

// again returns an erasure that was asked for before, under way once more if there is something of
// the user again.
func (e *Eraser) again(
	ctx context.Context, found queries.Erasure, user uuid.UUID,
) (queries.Erasure, error) {
	if found.DoneAt.IsZero() {
		return found, nil
	}
	asked := found
	asked.User = user
	known, err := e.known(ctx, asked)
	if err != nil || !known {
		return found, err
	}
	return e.reopen(ctx, asked)
}

// reopen makes a done erasure one that is under way.
func (e *Eraser) reopen(ctx context.Context, of queries.Erasure) (queries.Erasure, error) {
	of.DoneAt = time.Time{}
	return of, e.cfg.Queries.SaveErasure(ctx, of, e.cfg.Now())
}

// carryOut replaces the person of an erasure everywhere, and returns it done.
func (e *Eraser) carryOut(
	ctx context.Context, of queries.Erasure, by string,
) (queries.Erasure, error) {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return of, ctx.Err()
	}
	whole, err := e.leaveCatalog(ctx, of, by)
	if err != nil {
		return of, err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"left", func() error { return e.cancelExports(ctx, of) }},
		{"exports", func() error { return e.cfg.Queries.EraseCatalog(ctx, of, whole) }},
		{"catalog", func() error { return e.flush(ctx) }},
		{"flushed", func() error { return e.eraseUsage(ctx, of) }},
	} {
		if err := e.cfg.step(step.name); err != nil {
			return of, err
		}
		if err := step.do(); err != nil {
			return of, err
		}
	}
	return e.finish(ctx, of)
}

// finish forgets the person's id.
func (e *Eraser) finish(ctx context.Context, of queries.Erasure) (queries.Erasure, error) {
	done := of
	done.User, done.DoneAt = uuid.Nil, e.cfg.Now().UTC().Truncate(time.Microsecond)
	if err := e.cfg.Queries.SaveErasure(ctx, done, done.DoneAt); err != nil {
		return of, err
	}
	if err := e.cfg.step("saved"); err != nil {
		return of, err
	}
	if err := e.cfg.Queries.ForgetErased(ctx, done); err != nil {
		return of, err
	}
	e.metrics.done.Inc()
	e.cfg.Logger.Info("a person was erased", "erasure", done.ID,
		"organization", done.Organization, "replacement", done.Replacement)
	return done, nil
}

// flush stores what this node's log holds of the person, if the database takes it soon: what it
// does not, the hourly look finds.
func (e *Eraser) flush(ctx context.Context) error {
	if e.cfg.Flush == nil {
		return nil
	}
	flushing, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	if err := e.cfg.Flush(flushing); err != nil && flushing.Err() == nil {
		return err
	}
	return ctx.Err()
}

// eraseUsage replaces the person in the ledger, its rollups and the journal of corrections, until
// nothing is found that has the id: corrections and inserts go on meanwhile.
func (e *Eraser) eraseUsage(ctx context.Context, of queries.Erasure) error {
	q := e.cfg.Queries
	for range looksMax {
		traces, err := q.ErasedTraces(ctx, of)
		if err != nil || len(traces) == 0 {
			return err
		}
		for _, t := range traces {
			if t.Table == "corrections" {
				err = q.EraseCorrections(ctx, of)
			} else {
				err = q.EraseUsage(ctx, of, t)
			}
			if err != nil {
				return err
			}
			if err := e.cfg.step(t.Table); err != nil {
				return err
			}
		}
	}
	return errors.New("erasure: usage of the person comes faster than it is replaced")
}

// leaveCatalog takes a user out of an organization, and out of the catalog when there is no other.
// It reports whether there is none.
func (e *Eraser) leaveCatalog(
	ctx context.Context, of queries.Erasure, by string,
) (whole bool, err error) {
	plan := func(s *access.Snapshot) (change access.Change, _ error) {
		whole = true
		for m := range s.EachMembership() {
			switch {
			case m.User != of.User:
			case m.Organization == of.Organization:
				change.Retire.Memberships = append(change.Retire.Memberships, m)
			default:
				whole = false
			}
		}
		for k := range s.EachCredential() {
			switch {
			case k.User != of.User:
			case k.Organization == of.Organization:
				change.Retire.Credentials = append(change.Retire.Credentials, k)
			default:
				whole = false
			}
		}
		for a := range s.EachAgent() {
			if a.Owner == of.User && a.Organization == of.Organization {
				a.Owner = uuid.Nil
				change.Upsert.Agents = append(change.Upsert.Agents, a)
			}
		}
		if u, ok := s.User(of.User); ok && whole {
			change.Retire.Users = []schema.User{u}
		}
		return change, nil
	}
	if err := e.cfg.Directory.Change(ctx, by, plan); err != nil {
		return false, fmt.Errorf("erasure: catalog: %w", err)
	}
	return whole, nil
}

// cancelExports removes an organization's exports that may name the person.
func (e *Eraser) cancelExports(ctx context.Context, of queries.Erasure) error {
	if e.cfg.Exports == nil {
		return nil
	}
	all, err := e.cfg.Exports.List(ctx, of.Organization)
	if err != nil {
		return err
	}
	for _, x := range all {
		switch x.State {
		case schema.ExportFailed, schema.ExportCanceled, schema.ExportExpired:
			continue
		}
		if !names(x.Request, of.User) {
			continue
		}
		err := e.cfg.Exports.Cancel(ctx, of.Organization, x.ID)
		if err != nil && schema.KindOf(err) != schema.NotFound {
			return err
		}
	}
	return nil
}

// names reports whether an export may name a user.
func names(r schema.ExportRequest, user uuid.UUID) bool {
	if r.By == user || r.User == user || r.Query == nil {
		return true
	}
	_, filtered := r.Query.Filters[schema.DimensionUser]
	return filtered || slices.Contains(r.Query.GroupBy, schema.DimensionUser)
}
