package billing

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

const (
	passMax    = 10 * time.Minute // a pass begins no round after it
	roundMax   = 2 * time.Minute  // what was read longer ago is not sent any more
	roundSlots = 4000             // of one round, and no more than are told in a minute
	runsKept   = 32               // are looked at for when Stripe may be called again

	staleAfter   = time.Second      // a number that was free is looked at again after it
	claimTimeout = 5 * time.Second  // from then until the insert that claims it has ended
	writeTimeout = 10 * time.Second // of outcomes and of the pass itself, whatever ends the pass
)

// The waits after a pass that Stripe did not let go on.
const (
	firstWait = time.Minute
	lastWait  = 30 * time.Minute
	askedMax  = time.Hour // of what Stripe asks for
)

// errStopped ends a pass whose context has ended, or will before Stripe may be called again.
var errStopped = errors.New("report: the pass was stopped")

// fate is what became of a slot in a pass.
type fate int8

const (
	left   fate = iota // it is for another pass
	told               // Stripe has what it was to be told
	failed             // Stripe was asked, and does not have it for sure: for another pass
)

// pass is one Run. Its workers share what mu guards.
type pass struct {
	*Reporter
	run     schema.ReportRun
	limited int    // passes before this one, in a row, that Stripe did not let go on
	least   uint32 // revision that may be fixed: those before may have been used

	mu       sync.Mutex
	slots    map[schema.Slot]fate // with something to be told
	idle     int                  // slots of the newest round that nothing could be done about
	outcomes []schema.Outcome     // not written yet
	noted    time.Time            // the first of them
	silence  silence
	asked    time.Duration // Stripe wants no calls for so long
	rejected int
	again    bool            // the newest round left something that another can do at once
	alerted  map[string]bool // reasons that the log has
	err      error           // of the database, or a test's crash: the pass is over
}

// Run makes one pass: what Stripe sent is dealt with, what cannot be told where it belongs is
// carried, and every slot that has something to be told is, until nothing is left or the pass has
// to end. The error is of the database, or of ctx; how Stripe answered is in the run. A pass that an
// earlier one has told to wait calls nobody and says so. Without a key of Stripe's the slots that
// have something to be told are counted, and that is all.
func (r *Reporter) Run(ctx context.Context) (run schema.ReportRun, err error) {
	ctx, span := r.begin(ctx, "report")
	defer func() { endSpan(span, err) }()
	if r.cfg.Stripe == nil {
		return r.runWithoutKey(ctx)
	}
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return schema.ReportRun{}, ctx.Err()
	}
	defer func() { <-r.turn }()
	p := &pass{
		Reporter: r,
		run:      schema.ReportRun{ID: uuid.New(), Writer: r.cfg.Writer, StartedAt: r.now()},
		slots:    map[schema.Slot]fate{},
		alerted:  map[string]bool{},
	}
	waits, err := p.waits(ctx)
	if err == nil && !waits {
		waits, err = p.restored(ctx)
	}
	if err == nil && !waits {
		waits, err = p.foreign(ctx, p.elsewhere)
	}
	if err == nil && !waits {
		err = p.work(ctx)
	}
	if waits {
		p.run.EndedAt = r.now()
		return p.run, nil
	}
	return p.finish(ctx, err)
}

// runWithoutKey fixes nothing: what would be said to a test account is not for a real one.
func (r *Reporter) runWithoutKey(ctx context.Context) (schema.ReportRun, error) {
	run := schema.ReportRun{
		ID: uuid.New(), Writer: r.cfg.Writer, StartedAt: r.now(), End: schema.RunDone,
		Detail: "nothing is sent without STRIPE_API_KEY",
	}
	b, err := r.backlog(ctx)
	run.EndedAt, run.Slots = r.now(), b.Unsynced
	return run, err
}

// waits reports whether Stripe is still to be left alone, whichever instance was told so.
func (p *pass) waits(ctx context.Context) (bool, error) {
	runs, err := p.cfg.Queries.ReportRuns(ctx, runsKept)
	if err != nil {
		return false, err
	}
	inRow := true
	for _, run := range runs {
		away := run.End == schema.RunLimited || run.End == schema.RunUnreachable
		if inRow = inRow && away; inRow {
			p.limited++
		}
		if waitsUntil(run, p.run.StartedAt) && run.NotBefore.After(p.run.NotBefore) {
			p.run.End, p.run.NotBefore = run.End, run.NotBefore
			p.run.Detail = "waiting until " + run.NotBefore.UTC().Format(time.RFC3339)
		}
	}
	return !p.run.NotBefore.IsZero(), nil
}

// waitsUntil reports whether a pass of before has others wait now. One that would for longer than
// any does had a clock that was wrong.
func waitsUntil(run schema.ReportRun, now time.Time) bool {
	return run.NotBefore.After(now) && run.NotBefore.Sub(now) < 2*askedMax
}

// work does what there is to do. That a notice or a carry could not be dealt with keeps no slot
// from being told.
func (p *pass) work(ctx context.Context) error {
	var before error
	for _, do := range []func(context.Context) error{p.dealWithNotices, p.carry} {
		err := do(ctx)
		var dead crashed
		if errors.As(err, &dead) || ctx.Err() != nil {
			return err
		}
		before = errors.Join(before, err)
	}
	for !p.over() && p.now().Sub(p.run.StartedAt) < passMax {
		if more, err := p.round(ctx); err != nil || !more {
			return errors.Join(before, err)
		}
	}
	return before
}

// round reads what has something to be told, fixes what is new and sends what is fixed: what is
// sent was always read back from the database first. False: another round would do no more.
func (p *pass) round(ctx context.Context) (bool, error) {
	seen := p.now()
	newest, err := p.cfg.Queries.NewestBatch(ctx)
	if err != nil {
		return false, err
	}
	jobs, err := p.read(ctx, seen)
	if err != nil {
		return false, err
	}
	batch := queries.IntentBatch{Number: newest + 1, ID: uuid.New()}
	var sending []job
	p.idle = 0
	for _, j := range jobs {
		switch j.task {
		case rest:
			p.idle++
		case freeze:
			j.intent.CreatedAt, j.intent.Writer = seen, p.cfg.Writer
			p.renumber(&j.intent)
			batch.Intents = append(batch.Intents, j.intent)
		default:
			sending = append(sending, j)
		}
	}
	if len(batch.Intents)+len(sending) > 0 {
		if other, err := p.foreign(ctx, p.claimAccount); err != nil || other {
			return false, err
		}
	}
	if len(batch.Intents) > 0 {
		if err := p.freeze(ctx, batch, seen); err != nil {
			return false, err
		}
	}
	if err := p.deliver(ctx, sending, seen); err != nil {
		return false, err
	}
	return p.again || len(batch.Intents) > 0, ctx.Err()
}

// read plans what is to be done about each slot that has something to be told.
func (p *pass) read(ctx context.Context, seen time.Time) ([]job, error) {
	targets, err := p.targets(ctx)
	if err != nil {
		return nil, err
	}
	limit := min(roundSlots, 60*p.cfg.Rate)
	// Slots that nothing can be done about are listed again: they must not take others' place.
	params, err := p.openParams(ctx, seen)
	if err != nil {
		return nil, err
	}
	params.Limit = uint64(limit + p.idle)
	open, err := p.cfg.Queries.OpenSlots(ctx, params)
	if err != nil {
		return nil, err
	}
	p.again = len(open) == int(params.Limit)
	jobs := make([]job, 0, len(open))
	for _, s := range open {
		j := plan(s, targets.of(s.Slot), p.cfg.Mode, seen)
		if p.slots[s.Slot] == failed || p.tired(j.customer()) {
			// Once in a pass is enough, and one slot must not keep a pass going.
			j.task = rest
		}
		if p.slots[s.Slot] != failed {
			p.slots[s.Slot] = left
		}
		if j.alert != "" {
			p.alert(j.alert, s.Slot, alerts[j.alert])
		}
		if j.moves() {
			revisions, err := p.cfg.Queries.SlotRevisions(ctx, s.Slot)
			if err != nil {
				return nil, err
			}
			if tookNone(revisions) {
				j.intent.Customer, j.intent.SubscriptionItem = j.to.customer, j.to.item
			}
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (r *Reporter) openParams(
	ctx context.Context, now time.Time,
) (queries.OpenSlotsParams, error) {
	sealed, err := r.sealed(ctx, now)
	return queries.OpenSlotsParams{
		Mode: r.cfg.Mode, From: oldestSendable(now), Now: now, Sealed: sealed, Limit: roundSlots,
	}, err
}

// oldestSendable returns the first whole hour that Stripe still takes, now and in a few hours.
func oldestSendable(now time.Time) time.Time {
	return now.Add(-sendable + schema.SlotLength - 1).UTC().Truncate(schema.SlotLength)
}

func (r *Reporter) targets(ctx context.Context) (targets, error) {
	organizations, meters, err := r.cfg.Queries.Billed(ctx)
	if err != nil {
		return nil, err
	}
	retired, err := r.cfg.Queries.RetiredOrganizations(ctx)
	if err != nil {
		return nil, err
	}
	return targetsOf(organizations, retired, meters), nil
}

// freeze writes a batch of intents under a number that was free when it was seen. Whether it was
// first need not be known: what is sent is what the next round reads.
func (p *pass) freeze(ctx context.Context, b queries.IntentBatch, seen time.Time) error {
	if err := p.step(stepFreeze); err != nil {
		return err
	}
	claiming, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	if p.now().Sub(seen) > staleAfter {
		newest, err := p.cfg.Queries.NewestBatch(claiming)
		if err != nil {
			return err
		}
		if newest >= b.Number {
			p.metrics.races.Inc()
			return nil
		}
	}
	written := p.cfg.Queries.FreezeIntents(claiming, b, claimTimeout)
	if err := p.step(stepFrozen); err != nil {
		return err
	}
	// What the insert answered is no proof either way.
	won, err := p.cfg.Queries.BatchFrozen(ctx, b)
	switch {
	case err != nil:
		return err
	case won:
		return nil
	case written != nil:
		return written
	}
	p.metrics.races.Inc()
	return nil
}

// over reports whether the pass has to end.
func (p *pass) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil || p.run.End != 0
}

// fail ends the pass by an error, unless one has already.
func (p *pass) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// alert counts what somebody has to look at, and logs the first of each kind.
func (p *pass) alert(reason string, s schema.Slot, what string) {
	p.mu.Lock()
	first := !p.alerted[reason]
	p.alerted[reason] = true
	p.mu.Unlock()
	p.metrics.alerts.WithLabelValues(reason).Inc()
	if first {
		p.cfg.Logger.Error("a slot cannot be reported", "slot", s.String(), "reason", what)
	}
}

// alerts says what to do about those that are not about one revision.
var alerts = map[string]string{
	"shared": "two organizations or meters have one customer and meter, or one subscription " +
		"item: neither is reported until the catalog tells them apart",
	"no_item": "mode usage_record needs the subscription item of the organization's meter: " +
		"add it in the catalog",
}

// finish ends a pass: it writes what is known of it, counts it and logs one line.
func (p *pass) finish(ctx context.Context, err error) (schema.ReportRun, error) {
	if err == nil {
		err = p.err
	}
	var dead crashed
	if errors.As(err, &dead) {
		return p.run, err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if flushed := p.flush(closing); err == nil {
		err = flushed
	}
	if errors.As(err, &dead) {
		return p.run, err
	}
	p.sum(err)
	if errors.Is(err, errStopped) || err != nil && ctx.Err() != nil {
		p.cfg.Logger.Info("report pass stopped", "sent", p.run.Sent, "left", p.run.Failed)
		return p.run, err
	}
	if dead := p.step(stepEnd); dead != nil {
		return p.run, dead
	}
	if written := p.cfg.Queries.InsertReportRun(closing, p.run); err == nil {
		err = written
	}
	p.metrics.ended(p.run)
	p.showBacklog(closing)
	p.log(err)
	return p.run, err
}

// sum fills in how the pass went.
func (p *pass) sum(err error) {
	p.run.EndedAt = p.now()
	p.run.Slots = uint64(len(p.slots))
	for _, f := range p.slots {
		if f != told {
			p.run.Failed++
		}
	}
	switch {
	case err != nil:
		p.run.End, p.run.Detail = schema.RunFailed, "the database did not answer, or refused"
	case p.run.End == 0:
		p.run.End = schema.RunDone
	case p.run.End == schema.RunLimited || p.run.End == schema.RunUnreachable:
		p.run.NotBefore = p.run.EndedAt.Add(waitAfter(p.limited+1, p.asked, p.run.ID))
	}
}

// waitAfter returns how long Stripe is left alone after so many passes in a row that it did not let
// go on, at least as long as it asked for. A part of it is by chance, which the pass's id is made
// of, so that instances do not come back in step.
func waitAfter(times int, asked time.Duration, id uuid.UUID) time.Duration {
	wait := min(firstWait<<min(max(times-1, 0), 10), lastWait)
	wait = max(wait, min(asked, askedMax))
	return wait + wait/10*time.Duration(id[15])/256
}

func (p *pass) log(err error) {
	level, message := p.cfg.Logger.Info, "report pass"
	more := []any{
		"end", p.run.End.String(), "slots", p.run.Slots, "sent", p.run.Sent,
		"left", p.run.Failed, "took", p.run.EndedAt.Sub(p.run.StartedAt).String(),
	}
	switch {
	case err != nil:
		level = p.cfg.Logger.Error
		message = "report pass failed, the next one goes on where it ended"
		more = append(more, "error", err)
	case p.run.End == schema.RunHalted:
		level, message = p.cfg.Logger.Error, "reports are halted: check STRIPE_API_KEY"
		more = append(more, "detail", p.run.Detail)
	case p.run.End != schema.RunDone:
		level = p.cfg.Logger.Warn
		more = append(more, "detail", p.run.Detail,
			"not_before", p.run.NotBefore.Format(time.RFC3339))
	}
	if p.rejected > 0 {
		more = append(more, "rejected", p.rejected)
	}
	level(message, more...)
}

// backlog returns how far the reports are, and sets the gauges that show it. Without a database they
// stay as they were.
func (r *Reporter) backlog(ctx context.Context) (queries.ReportBacklog, error) {
	now := r.now()
	params, err := r.openParams(ctx, now)
	if err != nil {
		return queries.ReportBacklog{}, err
	}
	b, err := r.cfg.Queries.ReportBacklog(ctx, params)
	if err == nil {
		r.metrics.backlog(b, now)
	}
	return b, err
}

// showBacklog sets the gauges after a pass.
func (r *Reporter) showBacklog(ctx context.Context) {
	if r.cfg.Metrics == nil {
		return
	}
	if _, err := r.backlog(ctx); err != nil && ctx.Err() == nil {
		r.cfg.Logger.Warn("how far the reports are is not known", "error", err)
	}
	r.showDifferences(ctx)
}

// showDifferences sets the gauge of what differs at Stripe by what any instance found last: this one
// may have been started since, or not be the one that compares.
func (r *Reporter) showDifferences(ctx context.Context) {
	if r.cfg.Metrics == nil {
		return
	}
	d, err := r.cfg.Queries.Differences(ctx, r.now().Add(-differsFor))
	if err == nil {
		r.metrics.differs(d)
	} else if ctx.Err() == nil {
		r.cfg.Logger.Warn("what differs at Stripe is not known", "error", err)
	}
}
