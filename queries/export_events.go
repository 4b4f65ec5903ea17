package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// What a part of an export may take. Nobody waits for it, and everybody else comes first: it has
// one thread, and as the ledger's order is its own it holds little.
const (
	exportMemory  = 1 << 30
	exportPerPart = 10 * time.Minute
)

func exportSettings() clickhouse.Settings {
	return clickhouse.Settings{
		"max_execution_time":             int(exportPerPart / time.Second),
		"timeout_overflow_mode":          "throw",
		"max_memory_usage":               exportMemory,
		"max_bytes_before_external_sort": exportMemory / 4,
		"max_result_rows":                0,
		"max_threads":                    1,
		"optimize_read_in_order":         1,
	}
}

// ExportEventsParams asks for the measurements of events whose time is in [From, To).
type ExportEventsParams struct {
	Organization uuid.UUID
	User         uuid.UUID // zero: everybody's
	From, To     time.Time
}

func bindExportEvents(p ExportEventsParams) []any {
	return []any{
		id("organization", p.Organization), id("user", p.User),
		moment("from", storable(p.From)), moment("to", storable(p.To)),
	}
}

// ExportEvent is an entry of the ledger as its organization may see it.
type ExportEvent struct {
	Event              string
	Revision           uint32
	Entry              string // record or reversal
	Time, RecordedAt   time.Time
	Agent, User        *string // nil: none
	Service, Channel   string
	APIName, Endpoint  string
	Provider           string
	ProviderEndpoint   string
	ProviderKey        string // obfuscated
	Model              string
	Chargeable         bool
	Purpose, UsageType string
	Quantity           schema.Quantity
	ProviderCost       schema.USD
	BilledCost         schema.USD
	Pricing            string
	Rate               *string // nil: none
}

var exportEvents = ask("export_events", bindExportEvents, func(e *ExportEvent) []any {
	return []any{
		&e.Event, &e.Revision, &e.Entry, &e.Time, &e.RecordedAt, &e.Agent, &e.User,
		&e.Service, &e.Channel, &e.APIName, &e.Endpoint, &e.Provider, &e.ProviderEndpoint,
		&e.ProviderKey, &e.Model, &e.Chargeable, &e.Purpose, &e.UsageType,
		&e.Quantity, &e.ProviderCost, &e.BilledCost, &e.Pricing, &e.Rate,
	}
}).with(exportSettings())

// ExportEvents hands each measurement to each, whose error ends it, in the order in which the
// ledger keeps them.
func (q *Queries) ExportEvents(
	ctx context.Context, p ExportEventsParams, each func(ExportEvent) error,
) error {
	return stream(ownTime{ctx}, q.conn, exportEvents, p, each)
}

// ExportHour is how many measurements were counted in a UTC hour.
type ExportHour struct {
	Hour         time.Time
	Measurements int64
}

var exportHours = ask("export_hours", func(p ExportEventsParams) []any {
	return []any{
		id("organization", p.Organization),
		second("from", storable(p.From).Truncate(time.Hour)), second("to", storable(p.To)),
	}
}, func(h *ExportHour) []any { return []any{&h.Hour, &h.Measurements} })

// ExportHours returns the hours that have measurements of an organization, whoever's, in order.
func (q *Queries) ExportHours(ctx context.Context, p ExportEventsParams) ([]ExportHour, error) {
	hours, err := collect(ctx, q.conn, exportHours, p)
	for i := range hours {
		hours[i].Hour = hours[i].Hour.UTC()
	}
	return hours, err
}

// Object is a place in an S3-compatible store, and who may write there.
type Object struct {
	URL       string // without globs
	KeyID     string
	SecretKey string
	Format    schema.ExportFormat
}

// engineFormats are the engine's names of formats.
var engineFormats = map[schema.ExportFormat]string{
	schema.FormatNDJSON:  "JSONEachRow",
	schema.FormatCSV:     "CSVWithNames",
	schema.FormatParquet: "Parquet",
	schema.FormatArrow:   "ArrowStream",
}

func bindObject(o Object) []any {
	return []any{
		text("url", o.URL), text("key", o.KeyID), text("secret", o.SecretKey),
		text("format", engineFormats[o.Format]),
	}
}

// objectSettings are those of an export to a bucket. A try again replaces the object; a store that
// does not answer is asked a few times, and not the 500 of the default. The secret is a parameter,
// and what is asked with it is kept out of the log of queries.
func objectSettings() clickhouse.Settings {
	s := exportSettings()
	for name, value := range map[string]any{
		"log_queries":                              0,
		"async_insert":                             0,
		"max_insert_threads":                       1,
		"s3_truncate_on_insert":                    1,
		"s3_retry_attempts":                        4,
		"s3_connect_timeout_ms":                    5000,
		"s3_request_timeout_ms":                    30000,
		"engine_file_empty_if_not_exists":          0,
		"date_time_output_format":                  "iso",
		"output_format_json_quote_decimals":        1,
		"output_format_json_quote_64bit_integers":  0,
		"output_format_parquet_compression_method": "zstd",
	} {
		s[name] = value
	}
	return s
}

const (
	exportEventsS3 = "export_events_s3"
	exportObject   = "export_object"
	exportUpload   = "export_upload"
)

// ExportEventsTo makes the engine write what ExportEvents returns to an object, and returns the
// object's rows and bytes. What the object had before is replaced.
func (q *Queries) ExportEventsTo(
	ctx context.Context, p ExportEventsParams, o Object,
) (rows, bytes uint64, err error) {
	asked := clickhouse.Context(ownTime{ctx}, clickhouse.WithSettings(objectSettings()))
	args := append(bindExportEvents(p), bindObject(o)...)
	if err := q.exec(asked, exportEventsS3, sqlFile(exportEventsS3+".sql"), args...); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", exportEventsS3, brief(err))
	}
	type size struct{ rows, bytes uint64 }
	s, _, err := first(ownTime{ctx}, q.conn, ask(exportObject, bindObject, func(s *size) []any {
		return []any{&s.rows, &s.bytes}
	}).with(objectSettings()), o)
	return s.rows, s.bytes, err
}

// UploadExport writes an object of the chunks. They are held until they are sent.
func (q *Queries) UploadExport(ctx context.Context, o Object, chunks []string) error {
	ctx = clickhouse.Context(ownTime{ctx}, clickhouse.WithParameters(clickhouse.Parameters{
		"url": o.URL, "key": o.KeyID, "secret": o.SecretKey,
	}))
	rows := rowsFor(chunks, func(chunk string) []any { return []any{chunk} })
	return q.insertBlock(ctx, exportUpload, objectSettings(),
		[]tableColumn{{Name: "chunk", Type: "String"}}, rows)
}
