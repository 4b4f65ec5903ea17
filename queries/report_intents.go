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

// IntentBatch is intents that are fixed together.
type IntentBatch struct {
	Number  uint64    // after the newest there is
	ID      uuid.UUID // of the try
	Intents []schema.Intent
}

var (
	newestBatch = ask("newest_batch", bindNone, func(n *uint64) []any { return []any{n} })

	batchFrozen = ask("batch_frozen",
		func(n uint64) []any { return []any{number("number", n)} },
		func(b *IntentBatch) []any { return []any{&b.Number, &b.ID} })
)

const (
	insertReportIntents  = "insert_report_intents"
	insertReportOutcomes = "insert_report_outcomes"
)

// NewestBatch returns the number of the newest batch of intents, 0 before the first.
func (q *Queries) NewestBatch(ctx context.Context) (uint64, error) {
	newest, _, err := first(ctx, q.conn, newestBatch, none{})
	return newest, err
}

// errBatch is a batch of intents that nobody could find again.
var errBatch = errors.New(insertReportIntents + ": a batch needs a number, an id and intents")

// FreezeIntents writes a batch of intents unless its number is taken. Whether it was, BatchFrozen
// tells: no error says that the number is written, by whomever, and an error leaves it open.
func (q *Queries) FreezeIntents(ctx context.Context, b IntentBatch, within time.Duration) error {
	if b.Number == 0 || b.ID == (uuid.UUID{}) || len(b.Intents) == 0 {
		return errBatch
	}
	if len(b.Intents) > BatchRowsMax {
		return fmt.Errorf("%s: %d intents are more than %d", insertReportIntents,
			len(b.Intents), BatchRowsMax)
	}
	settings := claimSettings(fmt.Sprintf("intents:%d", b.Number), within)
	return q.insertBlock(ctx, insertReportIntents, settings, []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "meter", Type: "LowCardinality(String)"},
		{Name: "window_start", Type: "DateTime('UTC')"},
		{Name: "revision", Type: "UInt32"},
		{Name: "mode", Type: "Enum8('preaggregated' = 1, 'usage_record' = 2, 'raw' = 3)"},
		{Name: "total", Type: "Int64"},
		{Name: "send", Type: "Int64"},
		{Name: "identifier", Type: "String"},
		{Name: "customer", Type: "String"},
		{Name: "subscription_item", Type: "String"},
		{Name: "created_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "writer", Type: "UUID"},
		{Name: "batch", Type: "UInt64"},
		{Name: "batch_id", Type: "UUID"},
	}, rowsFor(b.Intents, func(i schema.Intent) []any {
		return []any{
			i.Slot.Organization, i.Slot.Meter, i.Slot.Start.UTC(), i.Revision, int8(i.Mode),
			i.Total, i.Send, i.Identifier, i.Customer, i.SubscriptionItem,
			i.CreatedAt.UTC(), i.Writer, b.Number, b.ID,
		}
	}))
}

// BatchFrozen reports whether a batch is there: whether its writer was first.
func (q *Queries) BatchFrozen(ctx context.Context, b IntentBatch) (bool, error) {
	winner, ok, err := first(ctx, q.conn, batchFrozen, b.Number)
	return ok && winner.ID == b.ID, err
}

// InsertOutcomes writes what came of attempts.
func (q *Queries) InsertOutcomes(ctx context.Context, all []schema.Outcome) error {
	settings := clickhouse.Settings{"async_insert": 0}
	return q.insertBlock(ctx, insertReportOutcomes, settings, []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "meter", Type: "LowCardinality(String)"},
		{Name: "window_start", Type: "DateTime('UTC')"},
		{Name: "revision", Type: "UInt32"},
		{Name: "verdict", Type: verdictEnum},
		{Name: "key_generation", Type: "UInt16"},
		{Name: "at", Type: "DateTime64(6, 'UTC')"},
		{Name: "writer", Type: "UUID"},
		{Name: "http_status", Type: "UInt16"},
		{Name: "request_id", Type: "String"},
		{Name: "detail", Type: "String"},
	}, rowsFor(all, func(o schema.Outcome) []any {
		return []any{
			o.Slot.Organization, o.Slot.Meter, o.Slot.Start.UTC(), o.Revision, int8(o.Verdict),
			o.KeyGeneration, o.At.UTC(), o.Writer, o.HTTPStatus, o.RequestID, o.Detail,
		}
	}))
}

// verdictEnum is the type of report_outcomes' verdict.
const verdictEnum = "Enum8('unknown' = 1, 'retry' = 2, 'rotate' = 3, " +
	"'abandoned' = 10, 'rejected' = 11, 'conflict' = 12, " +
	"'accepted' = 20, 'duplicate' = 21, 'settled' = 22, 'refused' = 30, 'differs' = 31)"
