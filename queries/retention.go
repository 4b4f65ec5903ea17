package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// RetentionParams names a month of some organizations.
type RetentionParams struct {
	Month         time.Time // its start, UTC
	Organizations []uuid.UUID
}

func (p RetentionParams) to() time.Time { return p.Month.AddDate(0, 1, 0) }

// RetentionMonthsParams asks for the months of an organization that end by a day.
type RetentionMonthsParams struct {
	Organization uuid.UUID
	Before       time.Time // start of a month, UTC
}

// OrganizationEvents is how many events, as they were first recorded, an organization has.
type OrganizationEvents struct {
	Organization uuid.UUID
	Events       uint64
}

// RetiredMonth is a month of an organization that went, or is going.
type RetiredMonth struct {
	Organization uuid.UUID
	Month        time.Time
	Done         bool
	At           time.Time
	Events       uint64 // of the nodes' logs that went with it
}

var (
	retentionMonths = ask("retention_months", func(p RetentionMonthsParams) []any {
		return []any{id("organization", p.Organization), day("before", p.Before)}
	}, func(t *time.Time) []any { return []any{t} }).with(VerifyParams{Threads: 1}.settings())

	retentionShared = ask("retention_shared", bindRetention,
		func(b *bool) []any { return []any{b} }).with(VerifyParams{}.settings())

	retentionEvents = ask("retention_events", bindRetention, func(o *OrganizationEvents) []any {
		return []any{&o.Organization, &o.Events}
	}).with(VerifyParams{Threads: 1}.settings())

	retiredMonths = ask("retired_months", bindNone, func(r *RetiredMonth) []any {
		return []any{&r.Organization, &r.Month, &r.Done, &r.At, &r.Events}
	})

	retentionBlocked = ask("retention_blocked", func(p RetentionBlockedParams) []any {
		return []any{
			id("organization", p.Organization), day("from", p.Month),
			day("to", p.Month.AddDate(0, 1, 0)),
		}
	}, func(b *bool) []any { return []any{b} })
)

// RetentionBlockedParams names a month of an organization.
type RetentionBlockedParams struct {
	Organization uuid.UUID
	Month        time.Time // its start, UTC
}

func bindRetention(p RetentionParams) []any {
	return []any{
		day("from", p.Month), day("to", p.to()), ids("organizations", p.Organizations),
	}
}

// RetentionMonths returns the starts of the months of which there is anything of an organization,
// in the ledger or in a rollup, and that end by a day, the oldest first.
func (q *Queries) RetentionMonths(
	ctx context.Context, p RetentionMonthsParams,
) ([]time.Time, error) {
	return collect(ctx, q.conn, retentionMonths, p)
}

// RetentionEvents returns how many events would go, by organization.
func (q *Queries) RetentionEvents(
	ctx context.Context, p RetentionParams,
) ([]OrganizationEvents, error) {
	return collect(ctx, q.conn, retentionEvents, p)
}

// RetentionBlocked reports whether a billing period reaches into a month that Stripe did not
// finalize: what the month comes to is still to be compared with its invoice.
func (q *Queries) RetentionBlocked(ctx context.Context, p RetentionBlockedParams) (bool, error) {
	blocked, _, err := first(ctx, q.conn, retentionBlocked, p)
	return blocked, err
}

// RetiredMonths returns the months that went or are going, ordered by organization and month.
func (q *Queries) RetiredMonths(ctx context.Context) ([]RetiredMonth, error) {
	return collect(ctx, q.conn, retiredMonths, none{})
}

const insertRetiredMonths = "insert_retired_months"

// MarkRetired notes that a month goes, or that it is gone, as of a moment.
func (q *Queries) MarkRetired(
	ctx context.Context, p RetentionParams, done bool, now time.Time,
) error {
	rows := rowsFor(p.Organizations, func(o uuid.UUID) []any {
		return []any{o, p.Month, done, now.UTC(), uint64(now.UnixMicro())}
	})
	return q.insertBlock(ctx, insertRetiredMonths, clickhouse.Settings{"async_insert": 0},
		[]tableColumn{
			{Name: "organization_id", Type: "UUID"},
			{Name: "month", Type: "Date"},
			{Name: "done", Type: "Bool"},
			{Name: "at", Type: "DateTime64(6, 'UTC')"},
			{Name: "version", Type: "UInt64"},
		}, rows)
}

const noteRetiredSequences = "note_retired_sequences"

// NoteRetired notes which events of the nodes' logs are in a month. To note one again changes
// nothing.
func (q *Queries) NoteRetired(ctx context.Context, p RetentionParams) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(VerifyParams{}.settings()))
	const name = noteRetiredSequences
	if err := q.exec(ctx, name, sqlFile(name+".sql"), bindRetention(p)...); err != nil {
		return fmt.Errorf("%s: %w", noteRetiredSequences, brief(err))
	}
	return nil
}

// byMonth are the tables whose partitions are months, in the order in which a month leaves them.
var byMonth = []string{"usage_events", AgentUsage15m, BillableHourly, ConsumptionDaily}

// Retire begins to remove a month of some organizations from the ledger and every rollup; Retired
// returns when it is done. It is for who holds all inserts and has noted the month: what comes after
// it returned stays. Where nobody else has anything of the month its partitions are dropped. What
// there is no longer anything of is left alone.
func (q *Queries) Retire(ctx context.Context, p RetentionParams) error {
	shared, _, err := first(ctx, q.conn, retentionShared, p)
	if err != nil {
		return err
	}
	month := text("partition", p.Month.Format("200601"))
	for _, table := range byMonth {
		if shared {
			err = q.alter(ctx, "retire_"+table, month, ids("organizations", p.Organizations))
		} else {
			err = q.alter(ctx, "drop_"+table, month)
		}
		if err != nil {
			return err
		}
	}
	return q.alter(ctx, "retire_consumption_monthly", text("partition", p.Month.Format("2006")),
		day("month", p.Month), ids("organizations", p.Organizations))
}

// Retired returns when what Retire began is done.
func (q *Queries) Retired(ctx context.Context) error {
	return q.Rewritten(ctx, append(byMonth[:len(byMonth):len(byMonth)], ConsumptionMonthly)...)
}

// cleared are the tables whose rows only age, and how long they are kept.
var cleared = []struct {
	table string
	kept  time.Duration
}{
	{"holds", 7 * 24 * time.Hour},
	{"report_runs", 400 * 24 * time.Hour},
	{"stripe_webhooks", 400 * 24 * time.Hour},
}

// Clear removes what has aged: holds of last week, and of Stripe's events and the reporter's passes
// what is older than the oldest usage that is taken.
func (q *Queries) Clear(ctx context.Context, now time.Time) error {
	for _, c := range cleared {
		err := q.rewrite(ctx, "clear_"+c.table, []string{c.table},
			second("before", now.Add(-c.kept)))
		if err != nil {
			return err
		}
	}
	return nil
}
