package exports

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// measurementsMax bounds an export of the ledger.
const measurementsMax = 200_000_000

// Create notes an export: see dialect.Exports.
func (e *Exporter) Create(ctx context.Context, r schema.ExportRequest) (schema.Export, error) {
	if err := e.check(r); err != nil {
		return schema.Export{}, err
	}
	text, err := encode(r)
	if err != nil {
		return schema.Export{}, err
	}
	row := queries.Export{
		Organization: r.Organization, ID: idOf(r), Version: 1, Writer: uuid.New(), By: r.By,
		User: r.User, Request: text, State: stateQueued, Attempt: 1,
		CreatedAt: e.cfg.Now().UTC().Truncate(time.Microsecond),
	}
	if r.Key != "" {
		there, ok, err := e.cfg.Queries.Export(ctx, queries.ExportParams{
			Organization: row.Organization, Export: row.ID,
		})
		if err != nil {
			return schema.Export{}, unavailable(err)
		}
		if ok {
			return e.same(ctx, there, row)
		}
	}
	if err := e.room(ctx, r.Organization); err != nil {
		return schema.Export{}, err
	}
	if row.Bounds, err = e.cut(ctx, r); err != nil {
		return schema.Export{}, err
	}
	newest, err := e.cfg.Queries.SaveExport(ctx, row)
	if err != nil {
		return schema.Export{}, unavailable(err)
	}
	e.look()
	return e.same(ctx, newest, row)
}

// check returns what is wrong with where an export goes.
func (e *Exporter) check(r schema.ExportRequest) error {
	if r.Destination == "" {
		return nil
	}
	b, ok := e.cfg.Buckets[r.Destination]
	if !ok || b.Organization != uuid.Nil && b.Organization != r.Organization {
		return schema.Errorf(schema.Unreadable, "destination", "is not configured")
	}
	return nil
}

// same returns the export that is there in the place of one that is asked for, which is the same
// one if its key was not used for another.
func (e *Exporter) same(
	ctx context.Context, there, asked queries.Export,
) (schema.Export, error) {
	if there.Request != asked.Request || there.User != asked.User || there.By != asked.By {
		return schema.Export{}, schema.Errorf(schema.Conflict, "Idempotency-Key",
			"was used for another export")
	}
	return e.shown(ctx, there)
}

// room returns an error when an organization keeps as many exports as it may.
func (e *Exporter) room(ctx context.Context, organization uuid.UUID) error {
	rows, err := e.cfg.Queries.OpenExports(ctx)
	if err != nil {
		return unavailable(err)
	}
	kept := 0
	for _, row := range rows {
		if row.Organization == organization && !overdue(row, e.cfg.Now()) {
			kept++
		}
	}
	if kept >= keptMax {
		return &schema.Error{
			Kind: schema.Overloaded, RetryAfter: time.Minute,
			Message: "the organization has as many exports as are kept; delete one, or wait " +
				"until the files of one expire",
		}
	}
	return nil
}

func (e *Exporter) cut(ctx context.Context, r schema.ExportRequest) ([]time.Time, error) {
	if r.Query != nil {
		return cutQuery(*r.Query), nil
	}
	hours, err := e.cfg.Queries.ExportHours(ctx, queries.ExportEventsParams{
		Organization: r.Organization, From: r.Events.From, To: r.Events.To,
	})
	if err != nil {
		return nil, unavailable(err)
	}
	total := int64(0)
	for _, h := range hours {
		total += h.Measurements
	}
	if total > measurementsMax {
		return nil, schema.Errorf(schema.TooLarge, "events",
			"has about %d measurements, at most %d may be: shorten the range", total,
			int64(measurementsMax))
	}
	return cutEvents(*r.Events, hours, e.cfg.PartMeasurements), nil
}

// Get returns an export: see dialect.Exports.
func (e *Exporter) Get(ctx context.Context, organization, id uuid.UUID) (schema.Export, error) {
	row, err := e.row(ctx, organization, id)
	if err != nil {
		return schema.Export{}, err
	}
	return e.shown(ctx, row)
}

func (e *Exporter) row(
	ctx context.Context, organization, id uuid.UUID,
) (queries.Export, error) {
	row, ok, err := e.cfg.Queries.Export(ctx, queries.ExportParams{
		Organization: organization, Export: id,
	})
	switch {
	case err != nil:
		return row, unavailable(err)
	case !ok:
		return row, schema.Errorf(schema.NotFound, "", "there is no such export")
	}
	return row, nil
}

func (e *Exporter) shown(ctx context.Context, row queries.Export) (schema.Export, error) {
	all, err := e.allShown(ctx, row.Organization, []queries.Export{row})
	if err != nil {
		return schema.Export{}, err
	}
	return all[0], nil
}

func (e *Exporter) allShown(
	ctx context.Context, organization uuid.UUID, rows []queries.Export,
) ([]schema.Export, error) {
	p := queries.ExportPartsParams{Organization: organization}
	for _, row := range rows {
		p.Exports = append(p.Exports, row.ID)
	}
	parts, err := e.cfg.Queries.ExportParts(ctx, p)
	if err != nil {
		return nil, unavailable(err)
	}
	of := make(map[uuid.UUID][]queries.ExportPart)
	for _, part := range parts {
		of[part.Export] = append(of[part.Export], part)
	}
	now := e.cfg.Now()
	all := make([]schema.Export, len(rows))
	for i, row := range rows {
		all[i] = exportOf(row, of[row.ID], now)
	}
	return all, nil
}

// List returns an organization's newest exports: see dialect.Exports.
func (e *Exporter) List(ctx context.Context, organization uuid.UUID) ([]schema.Export, error) {
	rows, err := e.cfg.Queries.Exports(ctx, organization, listedMax)
	if err != nil || len(rows) == 0 {
		return nil, unavailable(err)
	}
	return e.allShown(ctx, organization, rows)
}

// Cancel ends an export: see dialect.Exports. Files on another node go when that node looks next,
// and what is in a bucket stays there.
func (e *Exporter) Cancel(ctx context.Context, organization, id uuid.UUID) error {
	const tries = 5 // its job writes versions too
	for range tries {
		row, err := e.row(ctx, organization, id)
		if err != nil {
			return err
		}
		if !slices.Contains([]schema.ExportState{stateQueued, stateRunning, stateDone}, row.State) {
			return nil
		}
		row.Version, row.Writer, row.State = row.Version+1, uuid.New(), stateCanceled
		if row.EndedAt.IsZero() {
			row.EndedAt = e.cfg.Now()
		}
		newest, err := e.cfg.Queries.SaveExport(ctx, row)
		if err != nil {
			return unavailable(err)
		}
		if newest.Version == row.Version && newest.Writer == row.Writer {
			e.drop(ctx, id)
			return nil
		}
	}
	return unavailable(errors.New("the export changes all the time"))
}

// drop ends a job and removes its files.
func (e *Exporter) drop(ctx context.Context, id uuid.UUID) {
	if j := e.job(id); j != nil {
		j.cancel()
		select {
		case <-j.ended:
		case <-ctx.Done():
			return // the next turn removes them
		}
	}
	e.remove(id.String())
}

// Open opens a file of an export: see dialect.Exports.
func (e *Exporter) Open(
	ctx context.Context, organization, id uuid.UUID, name string,
) (io.ReadSeekCloser, error) {
	row, err := e.row(ctx, organization, id)
	if err != nil {
		return nil, err
	}
	export, err := e.shown(ctx, row)
	if err != nil {
		return nil, err
	}
	// Only a name that a part has is ever opened.
	known := slices.ContainsFunc(export.Files, func(f schema.ExportFile) bool {
		return f.Name == name
	})
	switch {
	case export.State == stateExpired:
		return nil, schema.Errorf(schema.NotFound, "", "the files of the export have expired")
	case !known || export.Request.Destination != "":
		return nil, schema.Errorf(schema.NotFound, "", "the export has no such file")
	case row.Node != e.cfg.Node:
		return nil, &schema.Error{
			Kind: schema.Unavailable, RetryAfter: time.Second,
			Message: "another node has the file; ask again until it is the one that answers",
		}
	}
	f, err := os.Open(e.path(id.String(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, schema.Errorf(schema.NotFound, "", "the file is gone; ask for a new export")
	}
	return f, err
}

// unavailable says of a database that cannot be asked that it may be asked again.
func unavailable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || !queries.Unreachable(err) {
		return err
	}
	return &schema.Error{
		Kind: schema.Unavailable, Message: "exports cannot be asked for just now; try again",
		RetryAfter: time.Second, Cause: err,
	}
}
