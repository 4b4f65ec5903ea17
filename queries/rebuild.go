package queries

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// RebuildParams says what of a rollup is recomputed.
type RebuildParams struct {
	Table         string      // one of the rollups
	From          time.Time   // start of a UTC day, of a month for consumption_monthly
	To            time.Time   // likewise; no more than one month
	Organizations []uuid.UUID // nil: all
}

// Change is what a rollup lacks, in sum, of one organization and usage type: negative where it has
// too much.
type Change struct {
	Table        string
	From, To     time.Time
	Organization uuid.UUID
	UsageType    string
	Keys         uint64 // rows of the rollup, by its whole key, that are not as they should be
	Sums         Sums
}

// rebuild is how one rollup is recomputed. The difference is computed into a table of its own, with
// the rollup's columns, sort order and partitions, and that table's part is attached to the rollup:
// in one step, and past the views on the rollup, which are recomputed by themselves.
type rebuild struct {
	table, staging string
	fill           string // inserts the difference into staging
	lacking        question[RebuildParams, Change]
	filled         question[none, Change]
}

func newRebuild(table string) rebuild {
	fill := sqlFile("rebuild_" + table + ".sql")
	_, difference, _ := strings.Cut(fill, "\nINSERT INTO rebuild_"+table+"\n")
	changes := func(from string) string {
		return "SELECT organization_id, toString(usage_type) AS type, count(), sum(quantity), " +
			"sum(provider_cost), sum(billed_cost), sum(events), sum(measurements), sum(unpriced) " +
			"FROM " + from + " GROUP BY organization_id, type ORDER BY organization_id, type"
	}
	into := func(c *Change) []any {
		return append([]any{&c.Organization, &c.UsageType, &c.Keys}, c.Sums.into()...)
	}
	name := "rebuild_" + table
	return rebuild{
		table: table, staging: name, fill: fill,
		lacking: question[RebuildParams, Change]{
			name: name, text: changes("(" + difference + ")"), bind: bindRebuild, into: into,
			settings: VerifyParams{}.settings(),
		},
		filled: question[none, Change]{name: name, text: changes(name), bind: bindNone, into: into},
	}
}

func bindRebuild(p RebuildParams) []any {
	return []any{day("from", p.From), day("to", p.To), ids("organizations", p.Organizations)}
}

var rebuilds = []rebuild{
	newRebuild(AgentUsage15m), newRebuild(BillableHourly), newRebuild(ConsumptionDaily),
	newRebuild(ConsumptionMonthly),
}

func rebuildOf(table string) (rebuild, error) {
	for _, r := range rebuilds {
		if r.table == table {
			return r, nil
		}
	}
	return rebuild{}, fmt.Errorf("%s is no rollup", table)
}

// RebuildChanges returns what a rollup lacks, ordered by organization and usage type; nothing when
// every row of it is as it should be. An insert under way shows as well.
func (q *Queries) RebuildChanges(ctx context.Context, p RebuildParams) ([]Change, error) {
	r, err := rebuildOf(p.Table)
	if err != nil {
		return nil, err
	}
	changes, err := collect(ctx, q.conn, r.lacking, p)
	return p.complete(changes), err
}

func (p RebuildParams) complete(changes []Change) []Change {
	for i := range changes {
		changes[i].Table, changes[i].From, changes[i].To = p.Table, p.From, p.To
	}
	return changes
}

// attachNeeds is what must be left of a context's time when a rollup is changed.
const attachNeeds = 5 * time.Second

// Rebuild adds to a rollup what it lacks, all of it in one step, and returns that. It is for who
// holds all inserts until ctx's deadline, one caller at a time. An error leaves the rollup as it
// was, or as it should be: then a second call finds nothing to do.
func (q *Queries) Rebuild(ctx context.Context, p RebuildParams) (_ []Change, err error) {
	r, err := rebuildOf(p.Table)
	if err = errors.Join(err, q.notOnCluster(p.Table)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", r.staging, brief(err))
		}
	}()
	// The name of a table that is created or altered cannot be a parameter; these are constants.
	drop := "DROP TABLE IF EXISTS " + r.staging + " SYNC"
	for _, statement := range []string{drop, "CREATE TABLE " + r.staging + " AS " + r.table} {
		if err := q.exec(ctx, r.staging, statement); err != nil {
			return nil, err
		}
	}
	defer func() {
		dropping, cancel := context.WithTimeout(context.WithoutCancel(ctx), attachNeeds)
		defer cancel()
		err = errors.Join(err, q.exec(dropping, r.staging, drop))
	}()
	settled := clickhouse.Context(ctx, clickhouse.WithSettings(VerifyParams{}.settings()))
	if err := q.exec(settled, r.staging, r.fill, bindRebuild(p)...); err != nil {
		return nil, err
	}
	changes, err := collect(ctx, q.conn, r.filled, none{})
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < attachNeeds {
		return nil, fmt.Errorf("it took too long: %w", context.DeadlineExceeded)
	}
	partition := p.From.Format("200601")
	if r.table == ConsumptionMonthly {
		partition = p.From.Format("2006")
	}
	attach := "ALTER TABLE " + r.table + " ATTACH PARTITION " + partition + " FROM " + r.staging
	return p.complete(changes), q.exec(ctx, r.staging, attach)
}

const (
	rebuildDimensions  = "rebuild_dimensions"
	rebuildEventPlaces = "rebuild_event_places"
)

// RebuildDimensions describes the dimensions of [From, To)'s days that nothing describes.
func (q *Queries) RebuildDimensions(ctx context.Context, p RebuildParams) error {
	return q.add(ctx, rebuildDimensions, p.From, p.To)
}

// RebuildEventPlaces writes the places that are lacking of the events of [From, To)'s days.
func (q *Queries) RebuildEventPlaces(ctx context.Context, p RebuildParams) error {
	if err := q.notOnCluster("event_places"); err != nil {
		return err
	}
	// What it compares with is held in memory: of a day at a time.
	for from := p.From; from.Before(p.To); from = from.AddDate(0, 0, 1) {
		if err := q.add(ctx, rebuildEventPlaces, from, from.AddDate(0, 0, 1)); err != nil {
			return err
		}
	}
	return nil
}

// add adds to a table what it lacks of the days [from, to).
func (q *Queries) add(ctx context.Context, name string, from, to time.Time) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(VerifyParams{}.settings()))
	err := q.exec(ctx, name, sqlFile(name+".sql"), day("from", from), day("to", to))
	if err != nil {
		return fmt.Errorf("%s: %w", name, brief(err))
	}
	return nil
}

// LedgerRows returns how many rows the ledger has of the days of p.
func (q *Queries) LedgerRows(ctx context.Context, p VerifyParams) (uint64, error) {
	n, _, err := first(ctx, q.conn, verifySize.with(p.settings()), p)
	return n, err
}
