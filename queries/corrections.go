package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// Correction is a row of the journal: what is done to the ledger, and who does it and why.
type Correction struct {
	Organization uuid.UUID
	Number       uint64    // counts the organization's corrections from 1
	ID           uuid.UUID // of the try that wrote it
	At           time.Time // UTC, microseconds
	Actor        string
	Reason       string
	Events       uint32 // that are corrected
	Entries      string // the ledger's new entries, encoded
}

// CorrectionsState is how far an organization's corrections are.
type CorrectionsState struct {
	Organization uuid.UUID
	Newest       uint64 // number in the journal; 0: there is none
	Applied      uint64 // up to which the ledger and every rollup have them
}

// CorrectionParams names one correction.
type CorrectionParams struct {
	Organization uuid.UUID
	Number       uint64
}

func bindCorrection(p CorrectionParams) []any {
	return []any{id("organization", p.Organization), number("number", p.Number)}
}

var (
	correctionsState = ask("corrections_state",
		func(organization uuid.UUID) []any { return []any{id("organization", organization)} },
		func(s *CorrectionsState) []any { return []any{&s.Newest, &s.Applied} })

	openCorrections = ask("open_corrections", bindNone, func(s *CorrectionsState) []any {
		return []any{&s.Organization, &s.Newest, &s.Applied}
	})
	correction = ask("correction", bindCorrection, func(c *Correction) []any {
		return []any{&c.ID, &c.At, &c.Actor, &c.Reason, &c.Events, &c.Entries}
	})
	correctionID = ask("correction_id", bindCorrection, func(id *uuid.UUID) []any {
		return []any{id}
	})
)

// CorrectionsState returns how far an organization's corrections are. Of a correction that is
// written or applied meanwhile it may miss either.
func (q *Queries) CorrectionsState(
	ctx context.Context, organization uuid.UUID,
) (CorrectionsState, error) {
	state, _, err := first(ctx, q.conn, correctionsState, organization)
	state.Organization = organization
	// The journal is read first: a number that was written and applied meanwhile is in both.
	state.Newest = max(state.Newest, state.Applied)
	return state, err
}

// OpenCorrections returns the organizations some of whose corrections are not applied.
func (q *Queries) OpenCorrections(ctx context.Context) ([]CorrectionsState, error) {
	return collect(ctx, q.conn, openCorrections, none{})
}

// Correction returns a correction; false when there is none of that number.
func (q *Queries) Correction(ctx context.Context, p CorrectionParams) (Correction, bool, error) {
	c, ok, err := first(ctx, q.conn, correction, p)
	c.Organization, c.Number = p.Organization, p.Number
	return c, ok, err
}

// CorrectionID returns the ID of a correction; false when there is none of that number.
func (q *Queries) CorrectionID(
	ctx context.Context, p CorrectionParams,
) (uuid.UUID, bool, error) {
	return first(ctx, q.conn, correctionID, p)
}

const (
	insertCorrections        = "insert_corrections"
	insertCorrectionsApplied = "insert_corrections_applied"
)

// InsertCorrection writes a correction unless its number is taken. Whether it was, CorrectionID
// tells: no error says that the number is written, by whomever, and an error leaves it open. The
// number of a writer whose first try was 10,000 corrections ago is no longer known to be taken, so
// the engine is told to give up in time as well.
func (q *Queries) InsertCorrection(
	ctx context.Context, c Correction, within time.Duration,
) error {
	settings := claimSettings(fmt.Sprintf("%s:%d", c.Organization, c.Number), within)
	return q.insertRow(ctx, insertCorrections, settings, []clickhouse.ColumnNameAndType{
		{Name: "organization_id", Type: "UUID"},
		{Name: "number", Type: "UInt64"},
		{Name: "id", Type: "UUID"},
		{Name: "corrected_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "actor", Type: "String"},
		{Name: "reason", Type: "String"},
		{Name: "events", Type: "UInt32"},
		{Name: "entries", Type: "String"},
	}, c.Organization, c.Number, c.ID, c.At.UTC(), c.Actor, c.Reason, c.Events, c.Entries)
}

// MarkCorrectionApplied notes that an organization's corrections up to a number are in the ledger
// and every rollup. An earlier number after a later one changes nothing.
func (q *Queries) MarkCorrectionApplied(ctx context.Context, p CorrectionParams) error {
	return q.insertRow(ctx, insertCorrectionsApplied, clickhouse.Settings{"async_insert": 0},
		[]clickhouse.ColumnNameAndType{
			{Name: "organization_id", Type: "UUID"},
			{Name: "number", Type: "UInt64"},
		}, p.Organization, p.Number)
}

// insertRow writes one row.
func (q *Queries) insertRow(
	ctx context.Context, name string, settings clickhouse.Settings,
	columns []clickhouse.ColumnNameAndType, row ...any,
) error {
	return q.insertBlock(ctx, name, settings, columns, [][]any{row})
}
