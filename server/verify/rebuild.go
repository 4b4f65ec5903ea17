package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// What is no rollup and is rebuilt with them: descriptions, and where each event lies.
const (
	Dimensions  = "dimensions"
	EventPlaces = "event_places"
)

// Tables are what Rebuild can rebuild, in the order in which it does: a month is made of its days.
func Tables() []string {
	return []string{
		Dimensions, EventPlaces, queries.AgentUsage15m, queries.BillableHourly,
		queries.ConsumptionDaily, queries.ConsumptionMonthly,
	}
}

// RebuildParams says what to rebuild: the UTC days that touch [From, To), and the whole months of
// consumption_monthly.
type RebuildParams struct {
	Tables []string // nil: all
	From   time.Time
	To     time.Time
	DryRun bool // change nothing

	Each func(queries.Change) // is told of what was changed, or would be
}

// Rebuild makes rollups what the ledger says they are, without stopping writes: day by day it looks
// for rows that are not, and where there are any it adds what they lack while no node inserts, a
// few seconds at a time. Run twice it changes nothing the second time. Interrupted it leaves each
// rollup, for each day and organization, as it was or as it should be.
func (v *Verifier) Rebuild(ctx context.Context, p RebuildParams) error {
	if p.Tables == nil {
		p.Tables = Tables()
	}
	if err := v.nothingHalfDone(ctx); err != nil {
		return err
	}
	from := p.From.UTC().Truncate(24 * time.Hour)
	to := p.To.UTC().Add(24*time.Hour - 1).Truncate(24 * time.Hour)
	for month := monthOf(from); month.Before(to); month = month.AddDate(0, 1, 0) {
		end := month.AddDate(0, 1, 0)
		rows, err := v.cfg.Queries.LedgerRows(ctx, queries.VerifyParams{From: month, To: end})
		if err != nil {
			return err
		}
		if rows == 0 {
			err = v.leave(ctx, p, month)
		} else {
			err = v.month(ctx, p, month, later(from, month), earlier(to, end))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func monthOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// month rebuilds the days [from, to) of a month, and the month.
func (v *Verifier) month(ctx context.Context, p RebuildParams, month, from, to time.Time) error {
	end := month.AddDate(0, 1, 0)
	monthly := slices.Contains(p.Tables, queries.ConsumptionMonthly)
	days := queries.RebuildParams{From: from, To: to}
	if slices.Contains(p.Tables, Dimensions) && !p.DryRun {
		if err := v.cfg.Queries.RebuildDimensions(ctx, days); err != nil {
			return err
		}
	}
	if slices.Contains(p.Tables, EventPlaces) && !p.DryRun {
		if err := v.cfg.Queries.RebuildEventPlaces(ctx, days); err != nil {
			return err
		}
	}
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		for _, table := range []string{
			queries.AgentUsage15m, queries.BillableHourly, queries.ConsumptionDaily,
		} {
			if !slices.Contains(p.Tables, table) && !(monthly && table == queries.ConsumptionDaily) {
				continue
			}
			if err := v.mendDay(ctx, p, table, day); err != nil {
				return err
			}
		}
	}
	if !monthly {
		return nil
	}
	// A month is made of its days: those that nobody asked for have to be right as well.
	if err := v.otherDays(ctx, p, month, from, to); err != nil {
		return err
	}
	return v.mend(ctx, p, queries.RebuildParams{
		Table: queries.ConsumptionMonthly, From: month, To: end,
	})
}

// otherDays mends the days of a month that are not in [from, to), as far as consumption_daily goes.
func (v *Verifier) otherDays(
	ctx context.Context, p RebuildParams, month, from, to time.Time,
) error {
	end := month.AddDate(0, 1, 0)
	for month.Before(end) {
		all, err := v.cfg.Queries.VerifyRollups(ctx, queries.VerifyParams{From: month, To: end})
		if err != nil {
			return err
		}
		// One answer may not have all of them: the days after its last one are asked about again.
		month = end
		for _, day := range daysOf(slices.DeleteFunc(all, func(d queries.Difference) bool {
			return d.Table != queries.ConsumptionDaily
		})) {
			if day.Before(from) || !day.Before(to) {
				if err := v.mendDay(ctx, p, queries.ConsumptionDaily, day); err != nil {
					return err
				}
			}
			month = day.AddDate(0, 0, 1)
		}
	}
	return nil
}

func (v *Verifier) mendDay(
	ctx context.Context, p RebuildParams, table string, day time.Time,
) error {
	return v.mend(ctx, p, queries.RebuildParams{
		Table: table, From: day, To: day.AddDate(0, 0, 1),
	})
}

// leave refuses to empty the rollups of a month of which the ledger has nothing at all: it was
// dropped, more likely than never written.
func (v *Verifier) leave(ctx context.Context, p RebuildParams, month time.Time) error {
	for _, table := range p.Tables {
		if table == Dimensions || table == EventPlaces {
			continue
		}
		changes, err := v.cfg.Queries.RebuildChanges(ctx, queries.RebuildParams{
			Table: table, From: month, To: month.AddDate(0, 1, 0),
		})
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			return fmt.Errorf("the ledger has nothing of %s and %s has: if the month was dropped, "+
				"leave it out; if it never was, drop that partition of %s by hand",
				month.Format("2006-01"), table, table)
		}
	}
	return nil
}

// holdGoal is how long a hold should last; what takes longer is done in several.
const holdGoal = 2 * time.Second

// mend adds to a rollup what it lacks.
func (v *Verifier) mend(ctx context.Context, p RebuildParams, r queries.RebuildParams) error {
	// Without a hold first: what finds nothing is a proof, and most days need none.
	began := time.Now()
	lacking, err := v.cfg.Queries.RebuildChanges(ctx, r)
	if err != nil || len(lacking) == 0 {
		return err
	}
	took := time.Since(began)
	var organizations []uuid.UUID
	for _, c := range lacking {
		organizations = append(organizations, c.Organization)
	}
	organizations = slices.Compact(organizations)
	holds := min(int(took/holdGoal)+1, len(organizations))
	size := (len(organizations) + holds - 1) / holds
	for some := range slices.Chunk(organizations, size) {
		r.Organizations = some
		var changes []queries.Change
		reason := fmt.Sprintf("rebuild of %s, %s", r.Table, r.From.Format(time.DateOnly))
		err := v.hold(ctx, reason, func(ctx context.Context) (err error) {
			if p.DryRun {
				changes, err = v.cfg.Queries.RebuildChanges(ctx, r)
			} else {
				changes, err = v.cfg.Queries.Rebuild(ctx, r)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s was left as it was: %w", reason, err)
		}
		if p.Each != nil {
			for _, c := range changes {
				p.Each(c)
			}
		}
	}
	return nil
}

// openLooks is how often a correction may be seen open, a Settle apart, before nobody finishes it:
// any node that runs does within four seconds.
const openLooks = 5

// nothingHalfDone refuses while something is half in the ledger and its rollups and will be sent
// again under its token: a rollup that was made right in between would have it twice.
func (v *Verifier) nothingHalfDone(ctx context.Context) error {
	if v.cfg.Data != "" {
		aside, err := ingest.Aside(v.cfg.Data)
		if err != nil {
			return err
		}
		for _, s := range aside {
			if s.Kind == ingest.KindBatch {
				return fmt.Errorf("a batch is set aside that may be half stored (%s): "+
					"run `meterhouse replay` first", s.Path)
			}
		}
	}
	var open []queries.CorrectionsState
	for look := range openLooks {
		now, err := v.cfg.Queries.OpenCorrections(ctx)
		if err != nil {
			return err
		}
		if look > 0 {
			now = slices.DeleteFunc(now, func(s queries.CorrectionsState) bool {
				return !slices.ContainsFunc(open, func(o queries.CorrectionsState) bool {
					return o.Organization == s.Organization && o.Applied == s.Applied
				})
			})
		}
		if open = now; len(open) == 0 {
			return nil
		}
		if err := pause(ctx, v.cfg.Settle); err != nil {
			return err
		}
	}
	return fmt.Errorf("correction %d of organization %s is written and not applied, and may be half "+
		"made: let a serve run, which finishes it", open[0].Applied+1, open[0].Organization)
}
