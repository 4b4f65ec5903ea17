package queries

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

type runRow struct {
	schema.ReportRun
	end       int8 // the number of an Enum8
	notBefore time.Time
}

var (
	reportRuns = ask("report_runs",
		func(limit uint64) []any { return []any{number("limit", limit)} },
		func(r *runRow) []any {
			return []any{
				&r.ID, &r.Writer, &r.StartedAt, &r.EndedAt, &r.Slots, &r.Sent, &r.Failed,
				&r.end, &r.notBefore, &r.Detail,
			}
		})
	leaseHolder = ask("lease_holder",
		func(name string) []any { return []any{text("name", name)} },
		func(id *uuid.UUID) []any { return []any{id} })
)

const (
	insertReportRuns   = "insert_report_runs"
	insertReportLeases = "insert_report_leases"
)

// leaseTimeout bounds the insert of a lease.
const leaseTimeout = 5 * time.Second

// InsertReportRun writes how a pass ended.
func (q *Queries) InsertReportRun(ctx context.Context, r schema.ReportRun) error {
	return q.insertRow(ctx, insertReportRuns, clickhouse.Settings{"async_insert": 0}, []tableColumn{
		{Name: "id", Type: "UUID"},
		{Name: "writer", Type: "UUID"},
		{Name: "started_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "ended_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "slots", Type: "UInt64"},
		{Name: "sent", Type: "UInt64"},
		{Name: "failed", Type: "UInt64"},
		{Name: "ended", Type: "Enum8('done' = 1, 'limited' = 2, 'unreachable' = 3, " +
			"'halted' = 4, 'failed' = 5)"},
		{Name: "not_before", Type: "DateTime64(6, 'UTC')"},
		{Name: "detail", Type: "String"},
	}, r.ID, r.Writer, r.StartedAt.UTC(), r.EndedAt.UTC(), r.Slots, r.Sent, r.Failed,
		int8(r.End), orEpoch(r.NotBefore), r.Detail)
}

// ReportRuns returns the newest passes, the newest first.
func (q *Queries) ReportRuns(ctx context.Context, limit uint64) ([]schema.ReportRun, error) {
	rows, err := collect(ctx, q.conn, reportRuns, limit)
	var all []schema.ReportRun
	for _, row := range rows {
		r := row.ReportRun
		r.End, r.NotBefore = schema.RunEnd(row.end), fromEpoch(row.notBefore)
		r.StartedAt, r.EndedAt = r.StartedAt.UTC(), r.EndedAt.UTC()
		all = append(all, r)
	}
	return all, err
}

// TakeLease reports whether a name of work and its time is the holder's: the first to ask has it.
// Leases are kept for a day, and their names for 10,000 leases.
func (q *Queries) TakeLease(
	ctx context.Context, name string, holder uuid.UUID, now time.Time,
) (bool, error) {
	err := q.insertRow(ctx, insertReportLeases, claimSettings("lease:"+name, leaseTimeout),
		[]tableColumn{
			{Name: "name", Type: "String"},
			{Name: "holder", Type: "UUID"},
			{Name: "at", Type: "DateTime('UTC')"},
		}, name, holder, now.UTC())
	if err != nil {
		return false, err
	}
	has, ok, err := first(ctx, q.conn, leaseHolder, name)
	return ok && has == holder, err
}
