// Package retention removes what organizations keep no longer, and replaces what identifies people
// who are to be forgotten. Both note what they are about to do before they do it, do it in steps
// that may be done again, and are gone on with by any node after a crash; `verify` proves both.
package retention

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/verify"

	"github.com/prometheus/client_golang/prometheus"
)

// KeeperConfig is what a Keeper needs.
type KeeperConfig struct {
	Queries  *queries.Queries
	Verifier *verify.Verifier  // whose holds keep inserts away
	Mode     schema.ReportMode // how Stripe is told; zero: nobody is, and nothing waits for it
	Now      func() time.Time
	Logger   *slog.Logger

	Mine    func() bool           // whether this of all nodes makes the pass; nil: it does
	Every   time.Duration         // between passes of Start; 0: never
	Metrics prometheus.Registerer // nil: nobody looks

	step func(string) error // tests stop a pass with it
}

// Keeper removes whole UTC months that ended longer ago than their organization keeps its usage.
type Keeper struct {
	cfg     KeeperConfig
	metrics *keeperMetrics
	loop    loop
}

// NewKeeper returns a Keeper. It starts nothing.
func NewKeeper(c KeeperConfig) *Keeper {
	if c.Mine == nil {
		c.Mine = func() bool { return true }
	}
	if c.step == nil {
		c.step = func(string) error { return nil }
	}
	return &Keeper{cfg: c, metrics: newKeeperMetrics(c.Metrics)}
}

// Start makes passes until Stop, the first after a tenth of Every. The error of one is logged, and
// the next tries again.
func (k *Keeper) Start() {
	if k.cfg.Every == 0 {
		return
	}
	k.loop.start(k.cfg.Every/10, k.cfg.Every, func(ctx context.Context) {
		if !k.cfg.Mine() {
			return
		}
		_, err := k.Run(ctx, false)
		k.metrics.ran(err, k.cfg.Now())
		if err != nil && ctx.Err() == nil {
			k.cfg.Logger.Warn("retention could not be done, trying again later", "error", err)
		}
	})
}

// Stop ends what Start began, if it did. What was under way is gone on with by the next pass.
func (k *Keeper) Stop() { k.loop.stop() }

// Removal is a month of an organization that went, or would.
type Removal struct {
	Organization uuid.UUID
	Month        time.Time // its start, UTC
	Events       uint64    // as they were first recorded
	Waits        string    // why it stays for now; empty: it does not
}

// Run makes one pass and returns what it removed, by month and organization; with dry, what it would
// remove. A month that an earlier pass left half removed is removed whatever is kept now. Run twice
// it does nothing the second time. The error is that of the first month that failed; what is
// returned beside it is done.
func (k *Keeper) Run(ctx context.Context, dry bool) ([]Removal, error) {
	now := k.cfg.Now().UTC()
	due, waiting, err := k.due(ctx, now)
	if err != nil {
		return nil, err
	}
	var months []time.Time
	for month := range due {
		months = append(months, month)
	}
	slices.SortFunc(months, time.Time.Compare)
	done := waiting
	for _, month := range months {
		removed, err := k.remove(ctx, queries.RetentionParams{
			Month: month, Organizations: due[month],
		}, dry)
		if err != nil {
			return done, err
		}
		done = append(done, removed...)
	}
	if dry {
		return done, nil
	}
	return done, k.cfg.Queries.Clear(ctx, now)
}

// due returns the organizations that keep a month no longer, by month, and what of that waits.
func (k *Keeper) due(
	ctx context.Context, now time.Time,
) (due map[time.Time][]uuid.UUID, waiting []Removal, err error) {
	due = make(map[time.Time][]uuid.UUID)
	add := func(month time.Time, organization uuid.UUID) {
		month = month.UTC()
		if !slices.Contains(due[month], organization) {
			due[month] = append(due[month], organization)
		}
	}
	begun, err := k.cfg.Queries.RetiredMonths(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range begun {
		if !m.Done {
			add(m.Month, m.Organization)
		}
	}
	organizations, err := k.organizations(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range organizations {
		months, err := k.months(ctx, o, now)
		if err != nil {
			return nil, nil, err
		}
		for _, month := range months {
			if slices.Contains(due[month.UTC()], o.ID) {
				continue
			}
			why, err := k.billing(ctx, o, month, now)
			if err != nil {
				return nil, nil, err
			}
			if why == "" {
				add(month, o.ID)
				continue
			}
			k.cfg.Logger.Warn("a month is kept longer: it is not billed yet",
				"organization", o.ID, "month", month.Format("2006-01"), "why", why)
			waiting = append(waiting, Removal{o.ID, month.UTC(), 0, why})
		}
	}
	return due, waiting, nil
}

// organizations returns all there are, and those that were retired: what they agreed to keep goes
// when it is too old all the same.
func (k *Keeper) organizations(ctx context.Context) ([]schema.Organization, error) {
	organizations, _, err := k.cfg.Queries.Billed(ctx)
	if err != nil {
		return nil, err
	}
	retired, err := k.cfg.Queries.RetiredOrganizations(ctx)
	return append(organizations, retired...), err
}

// months returns the months of which there is anything of an organization that keeps them no longer.
func (k *Keeper) months(
	ctx context.Context, o schema.Organization, now time.Time,
) ([]time.Time, error) {
	if o.RetentionDays < schema.RetentionDaysMin {
		return nil, nil // 0, for ever; nothing lets anything between in
	}
	kept := now.AddDate(0, 0, -int(o.RetentionDays))
	return k.cfg.Queries.RetentionMonths(ctx, queries.RetentionMonthsParams{
		Organization: o.ID,
		Before:       time.Date(kept.Year(), kept.Month(), 1, 0, 0, 0, 0, time.UTC),
	})
}

// Stripe takes usage for 35 days; what is older is carried, for as long as usage is taken.
const (
	reportable = 35*24*time.Hour - 6*time.Hour
	carried    = 400 * 24 * time.Hour
)

// billing returns why billing needs a month yet; empty when it does not.
func (k *Keeper) billing(
	ctx context.Context, o schema.Organization, month, now time.Time,
) (string, error) {
	if o.Stripe.Customer == "" {
		return "", nil
	}
	open, err := k.cfg.Queries.RetentionBlocked(ctx, queries.RetentionBlockedParams{
		Organization: o.ID, Month: month,
	})
	if err != nil {
		return "", err
	}
	if open {
		return "a billing period that reaches into it is not finalized", nil
	}
	if k.cfg.Mode == 0 {
		return "", nil
	}
	due, err := k.cfg.Queries.DueCarries(ctx, queries.DueParams{
		Organization: o.ID, Mode: k.cfg.Mode,
		From:    now.Add(-carried).Truncate(time.Hour),
		Oldest:  now.Add(-reportable).Truncate(time.Hour),
		Carried: now, Limit: 1000,
	})
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(due, func(d queries.Due) bool {
		return d.From.Before(month.AddDate(0, 1, 0))
	}) {
		return "units of it wait to be carried into a later bill", nil
	}
	return "", nil
}

// remove removes a month of some organizations. What it notes and begins it does while no node
// inserts: what comes after is not removed, and was not noted.
func (k *Keeper) remove(
	ctx context.Context, p queries.RetentionParams, dry bool,
) ([]Removal, error) {
	q := k.cfg.Queries
	held, err := q.RetentionEvents(ctx, p)
	if err != nil {
		return nil, err
	}
	removed := make([]Removal, len(p.Organizations))
	for i, o := range p.Organizations {
		removed[i] = Removal{Organization: o, Month: p.Month}
		for _, h := range held {
			if h.Organization == o {
				removed[i].Events = h.Events
			}
		}
	}
	if dry {
		return removed, nil
	}
	reason := "retention of " + p.Month.Format("2006-01")
	err = k.cfg.Verifier.Hold(ctx, reason, func(ctx context.Context) error {
		if err := q.MarkRetired(ctx, p, false, k.cfg.Now()); err != nil {
			return err
		}
		for _, step := range []struct {
			name string
			do   func(context.Context, queries.RetentionParams) error
		}{{"noted", q.NoteRetired}, {"begun", q.Retire}} {
			if err := step.do(ctx, p); err != nil {
				return err
			}
			if err := k.cfg.step(step.name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := q.Retired(ctx); err != nil {
		return nil, err
	}
	if err := k.cfg.step("removed"); err != nil {
		return nil, err
	}
	for _, r := range removed {
		k.metrics.gone(r.Events)
		k.cfg.Logger.Info("a month was removed", "organization", r.Organization,
			"month", r.Month.Format("2006-01"), "events", r.Events)
	}
	return removed, q.MarkRetired(ctx, p, true, k.cfg.Now())
}
