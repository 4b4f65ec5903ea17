package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Export is a version of a saved export, as its row says it.
type Export struct {
	Organization uuid.UUID
	ID           uuid.UUID
	Version      uint64    // counts from 1
	Writer       uuid.UUID // of the version
	By           uuid.UUID
	User         uuid.UUID // whose usage; zero: everybody's
	Request      string    // the rest of what is asked, as its maker encodes it
	Bounds       []time.Time
	State        schema.ExportState
	Detail       string
	CreatedAt    time.Time
	EndedAt      time.Time // zero: not yet
	ExpiresAt    time.Time // zero: none
	Node         uuid.UUID // zero: none
	LeaseUntil   time.Time // zero: none
	Attempt      uint32
}

func intoExport(e *Export) []any {
	return []any{
		&e.Organization, &e.ID, &e.Version, &e.Writer, &e.By, &e.User, &e.Request, &e.Bounds,
		(*string)(&e.State), &e.Detail, &e.CreatedAt, &e.EndedAt, &e.ExpiresAt, &e.Node,
		&e.LeaseUntil, &e.Attempt,
	}
}

// ExportParams names an export.
type ExportParams struct {
	Organization uuid.UUID
	Export       uuid.UUID
}

type savedExportsParams struct {
	organization uuid.UUID
	limit        uint64
}

var (
	savedExport = ask("saved_export", func(p ExportParams) []any {
		return []any{id("organization", p.Organization), id("export", p.Export)}
	}, intoExport)
	savedExports = ask("saved_exports", func(p savedExportsParams) []any {
		return []any{id("organization", p.organization), number("limit", p.limit)}
	}, intoExport)
	openExports = ask("open_exports", bindNone, intoExport)
)

// Export returns the newest version of an export; false when the organization has none of this id.
func (q *Queries) Export(ctx context.Context, p ExportParams) (Export, bool, error) {
	e, ok, err := first(ctx, q.conn, savedExport, p)
	return e.inUTC(), ok, err
}

// Exports returns an organization's exports, the newest first.
func (q *Queries) Exports(
	ctx context.Context, organization uuid.UUID, limit uint64,
) ([]Export, error) {
	return allInUTC(collect(ctx, q.conn, savedExports, savedExportsParams{organization, limit}))
}

// OpenExports returns the exports of all organizations that are to be made or have files, the
// oldest first.
func (q *Queries) OpenExports(ctx context.Context) ([]Export, error) {
	return allInUTC(collect(ctx, q.conn, openExports, none{}))
}

func allInUTC(all []Export, err error) ([]Export, error) {
	for i := range all {
		all[i] = all[i].inUTC()
	}
	return all, err
}

// inUTC reads the times as SaveExport writes them.
func (e Export) inUTC() Export {
	e.CreatedAt = e.CreatedAt.UTC()
	e.EndedAt, e.ExpiresAt = fromEpoch(e.EndedAt), fromEpoch(e.ExpiresAt)
	e.LeaseUntil = fromEpoch(e.LeaseUntil)
	for i := range e.Bounds {
		e.Bounds[i] = e.Bounds[i].UTC()
	}
	return e
}

const (
	insertExports     = "insert_exports"
	insertExportParts = "insert_export_parts"
)

// noAsync: an insert is answered when it is stored.
var noAsync = clickhouse.Settings{"async_insert": 0}

// exportTimeout bounds the insert of a version.
const exportTimeout = 10 * time.Second

// SaveExport writes a version of an export and returns the newest one: it is e, by its Writer, when
// e is the first of its version and nobody has written a later one since.
func (q *Queries) SaveExport(ctx context.Context, e Export) (Export, error) {
	token := fmt.Sprintf("export:%s:%d", e.ID, e.Version)
	err := q.insertRow(ctx, insertExports, claimSettings(token, exportTimeout), []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "id", Type: "UUID"},
		{Name: "version", Type: "UInt64"},
		{Name: "writer", Type: "UUID"},
		{Name: "requested_by", Type: "UUID"},
		{Name: "user_id", Type: "UUID"},
		{Name: "request", Type: "String"},
		{Name: "bounds", Type: "Array(DateTime64(6, 'UTC'))"},
		{Name: "state", Type: "Enum8('queued' = 1, 'running' = 2, 'done' = 3, 'failed' = 4, " +
			"'canceled' = 5, 'expired' = 6)"},
		{Name: "detail", Type: "String"},
		{Name: "created_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "ended_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "expires_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "node", Type: "UUID"},
		{Name: "lease_until", Type: "DateTime64(6, 'UTC')"},
		{Name: "attempt", Type: "UInt32"},
	}, e.Organization, e.ID, e.Version, e.Writer, e.By, e.User, e.Request, e.Bounds,
		string(e.State), e.Detail, e.CreatedAt.UTC(), orEpoch(e.EndedAt), orEpoch(e.ExpiresAt),
		e.Node, orEpoch(e.LeaseUntil), e.Attempt)
	if err != nil {
		return Export{}, err
	}
	newest, ok, err := q.Export(ctx, ExportParams{e.Organization, e.ID})
	if err == nil && !ok {
		err = fmt.Errorf("%s: export %s is not there", insertExports, e.ID)
	}
	return newest, err
}

// ExportPart is a part of an export that is whole.
type ExportPart struct {
	Organization uuid.UUID
	Export       uuid.UUID
	Attempt      uint32
	Part         uint32 // from 0
	Name         string
	Rows         uint64
	Bytes        uint64
	SHA256       string // empty: the engine wrote it
	NotedAt      time.Time
}

// ExportPartsParams names an organization's exports.
type ExportPartsParams struct {
	Organization uuid.UUID
	Exports      []uuid.UUID
}

var exportParts = ask("export_parts", func(p ExportPartsParams) []any {
	return []any{id("organization", p.Organization), ids("exports", p.Exports)}
}, func(p *ExportPart) []any {
	return []any{
		&p.Export, &p.Attempt, &p.Part, &p.Name, &p.Rows, &p.Bytes, &p.SHA256, &p.NotedAt,
	}
})

// ExportParts returns the whole parts of exports, by export, attempt and part.
func (q *Queries) ExportParts(ctx context.Context, p ExportPartsParams) ([]ExportPart, error) {
	parts, err := collect(ctx, q.conn, exportParts, p)
	for i := range parts {
		parts[i].Organization, parts[i].NotedAt = p.Organization, parts[i].NotedAt.UTC()
	}
	return parts, err
}

// InsertExportPart notes that a part is whole.
func (q *Queries) InsertExportPart(ctx context.Context, p ExportPart) error {
	return q.insertRow(ctx, insertExportParts, noAsync, []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "export_id", Type: "UUID"},
		{Name: "attempt", Type: "UInt32"},
		{Name: "part", Type: "UInt32"},
		{Name: "name", Type: "String"},
		{Name: "rows", Type: "UInt64"},
		{Name: "bytes", Type: "UInt64"},
		{Name: "sha256", Type: "String"},
		{Name: "noted_at", Type: "DateTime64(6, 'UTC')"},
	}, p.Organization, p.Export, p.Attempt, p.Part, p.Name, p.Rows, p.Bytes, p.SHA256,
		p.NotedAt.UTC())
}
