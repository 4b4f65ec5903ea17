package queries

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Erasure is a schema.Erasure as it is stored. Every statement that carries it out names it by its
// ID and never the person: the database keeps the text of what rewrites a table.
type Erasure struct {
	schema.Erasure // User is zero when it is done

	ID      uuid.UUID
	Subject string // what the person is known by later: see schema.ErasureSubject
	Lingers bool   // an older version of its row still has the person's id
}

var erasures = ask("erasures",
	func(subject string) []any { return []any{text("subject", subject)} },
	func(e *Erasure) []any {
		return []any{
			&e.ID, &e.Organization, &e.Subject, &e.User, &e.Replacement, &e.RequestedAt,
			&e.DoneAt, &e.Lingers,
		}
	})

// Erasures returns the erasures of a subject, or of every one when it is empty, the oldest first:
// those under way, and those of the last 35 days.
func (q *Queries) Erasures(ctx context.Context, subject string) ([]Erasure, error) {
	all, err := collect(ctx, q.conn, erasures, subject)
	for i := range all {
		e := &all[i]
		e.RequestedAt, e.DoneAt = e.RequestedAt.UTC(), fromEpoch(e.DoneAt)
	}
	return all, err
}

const insertErasures = "insert_erasures"

var erasureColumns = []tableColumn{
	{Name: "id", Type: "UUID"},
	{Name: "organization_id", Type: "UUID"},
	{Name: "subject", Type: "String"},
	{Name: "user_id", Type: "UUID"},
	{Name: "replacement_id", Type: "UUID"},
	{Name: "requested_at", Type: "DateTime64(6, 'UTC')"},
	{Name: "done_at", Type: "DateTime64(6, 'UTC')"},
	{Name: "version", Type: "UInt64"},
}

func erasureRow(e Erasure, version time.Time) []any {
	return []any{
		e.ID, e.Organization, e.Subject, e.User, e.Replacement, e.RequestedAt.UTC(),
		orEpoch(e.DoneAt), uint64(version.UnixMicro()),
	}
}

// ClaimErasure writes a new erasure unless its subject has one by the same attempt: which one there
// is, Erasures tells. An attempt is taken for good, though its erasure be gone since.
func (q *Queries) ClaimErasure(ctx context.Context, e Erasure, attempt int) error {
	token := fmt.Sprintf("erasure:%s:%d", e.Subject, attempt)
	return q.insertRow(ctx, insertErasures, claimSettings(token, 10*time.Second), erasureColumns,
		erasureRow(e, e.RequestedAt)...)
}

// SaveErasure writes the next version of an erasure, as of a moment.
func (q *Queries) SaveErasure(ctx context.Context, e Erasure, now time.Time) error {
	return q.insertRow(ctx, insertErasures, clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 0,
	}, erasureColumns, erasureRow(e, now)...)
}

// Trace is where the person of an erasure is still named.
type Trace struct {
	Table string
	Month time.Time // of the rows; the epoch for corrections
}

var (
	erasedTraces = ask("erased_traces", bindErasure,
		func(t *Trace) []any { return []any{&t.Table, &t.Month} })
	erasedArrivals = ask("erased_arrivals", func(e Erasure) []any {
		return []any{id("organization", e.Organization), text("subject", e.Subject)}
	}, func(u *uuid.UUID) []any { return []any{u} })
)

func bindErasure(e Erasure) []any {
	return []any{id("erasure", e.ID), id("organization", e.Organization)}
}

// ErasedTraces returns where usage and corrections still name the person of an erasure, ordered by
// table and month.
func (q *Queries) ErasedTraces(ctx context.Context, e Erasure) ([]Trace, error) {
	return collect(ctx, q.conn, erasedTraces.with(VerifyParams{}.settings()), e)
}

// ErasedArrivals returns the user, when usage of one has come in whose erasure is done.
func (q *Queries) ErasedArrivals(ctx context.Context, e Erasure) (uuid.UUID, bool, error) {
	return first(ctx, q.conn, erasedArrivals, e)
}

// EraseUsage replaces the person of an erasure in a month of a table that ErasedTraces named:
// usage_events, consumption_daily or consumption_monthly. Sums of anything but users stay. It may be
// done again, and by two at once: what one leaves the next finds.
func (q *Queries) EraseUsage(ctx context.Context, e Erasure, t Trace) error {
	args := bindErasure(e)
	if t.Table == "usage_events" {
		return q.rewrite(ctx, "erase_usage_events", []string{t.Table},
			append(args, text("partition", t.Month.Format("200601")))...)
	}
	partition := t.Month.Format("200601")
	if t.Table == ConsumptionMonthly {
		partition = t.Month.Format("2006")
	}
	moved := clickhouse.Context(ctx, clickhouse.WithSettings(
		insertSettings("erasure:"+uuid.NewString())))
	name := "erase_" + t.Table
	if err := q.exec(moved, name, sqlFile(name+".sql"), append(args,
		day("from", t.Month), day("to", t.Month.AddDate(0, 1, 0)))...); err != nil {
		return fmt.Errorf("%s: %w", name, brief(err))
	}
	name = "merge_" + t.Table
	merging := clickhouse.Context(ctx, clickhouse.WithSettings(VerifyParams{}.settings()))
	err := q.change(merging, name, text("partition", partition))
	if err != nil {
		return fmt.Errorf("%s: %w", name, brief(err))
	}
	return nil
}

// EraseCorrections replaces the person of an erasure in the journal of corrections.
func (q *Queries) EraseCorrections(ctx context.Context, e Erasure) error {
	return q.rewrite(ctx, "erase_corrections", []string{"corrections"}, bindErasure(e)...)
}

// EraseCatalog replaces the person of an erasure in what the catalog was, and in what was exported,
// once it says so no more; and, if the person belongs to no other organization, removes the person.
func (q *Queries) EraseCatalog(ctx context.Context, e Erasure, whole bool) error {
	erasure, organization := id("erasure", e.ID), id("organization", e.Organization)
	both, all := bindErasure(e), clickhouse.Named("whole", whole)
	do := func(table, name string, args ...any) func() error {
		return func() error { return q.rewrite(ctx, name, []string{table}, args...) }
	}
	retired := func(table string, args ...any) func() error {
		return func() error {
			for _, were := range []bool{false, true} {
				err := q.rewrite(ctx, "erase_"+table, []string{table},
					append(args[:len(args):len(args)], clickhouse.Named("retired", were))...)
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	steps := []func() error{
		retired("memberships", erasure, organization),
		retired("credentials", erasure, organization),
		do("agents", "erase_owners", both...),
		do("exports", "erase_exports", both...),
		do("catalog_audit", "erase_catalog_audit", erasure, organization, all),
		do("catalog_audit", "erase_catalog_audit_actor", erasure, organization, all),
	}
	if whole {
		steps = append(steps, retired("users", erasure),
			do("catalog_changes", "erase_catalog_changes_actor", erasure))
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ForgetErased takes the person's id out of the older versions of an erasure that is done.
func (q *Queries) ForgetErased(ctx context.Context, e Erasure) error {
	return q.rewrite(ctx, "forget_erased", []string{"erasures"}, id("erasure", e.ID))
}

type unfinished struct {
	count uint64
	why   string
}

var (
	unfinishedMutations        = askUnfinished("unfinished_mutations")
	unfinishedMutationsCluster = askUnfinished("unfinished_mutations_cluster")
)

func askUnfinished(name string) question[[]string, unfinished] {
	return ask(name, func(tables []string) []any {
		return []any{list("tables", tables, func(s string) string { return s })}
	}, func(u *unfinished) []any { return []any{&u.count, &u.why} })
}

// rewriteLook is how often a rewrite is asked whether it is over.
const rewriteLook = 10 * time.Millisecond

// rewrite alters tables and returns when no part of them is left to be rewritten.
func (q *Queries) rewrite(ctx context.Context, name string, tables []string, args ...any) error {
	if err := q.alter(ctx, name, args...); err != nil {
		return err
	}
	return q.Rewritten(ctx, tables...)
}

// alter begins to rewrite a table: what is inserted from then on stays as it is.
func (q *Queries) alter(ctx context.Context, name string, args ...any) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"mutations_sync": 0, "max_execution_time": 3600,
	}))
	if err := q.change(ctx, name, args...); err != nil {
		return fmt.Errorf("%s: %w", name, brief(err))
	}
	return nil
}

// Rewritten returns when no part of some tables is being rewritten. An error of the rewriting is
// returned; the database goes on trying.
func (q *Queries) Rewritten(ctx context.Context, tables ...string) error {
	for wait := rewriteLook; ; wait = min(2*wait, time.Second) {
		asked := pick(q, unfinishedMutations, unfinishedMutationsCluster)
		now, _, err := first(ctx, q.conn, asked, tables)
		switch {
		case err != nil:
			return err
		case now.count == 0:
			return nil
		case now.why != "":
			return errors.New("the database cannot rewrite a table: " + now.why)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
