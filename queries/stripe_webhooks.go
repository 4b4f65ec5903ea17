package queries

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/schema"
)

type webhookRow struct {
	schema.Webhook
	body string
}

var openWebhooks = ask("open_webhooks",
	func(limit uint64) []any { return []any{number("limit", limit)} },
	func(r *webhookRow) []any {
		return []any{&r.ID, &r.Type, &r.ReceivedAt, &r.Detail, &r.body}
	})

const insertStripeWebhooks = "insert_stripe_webhooks"

// SaveWebhook writes an event of Stripe's. One that is dealt with stays so.
func (q *Queries) SaveWebhook(ctx context.Context, w schema.Webhook) error {
	settings := clickhouse.Settings{"async_insert": 0}
	return q.insertRow(ctx, insertStripeWebhooks, settings, []tableColumn{
		{Name: "id", Type: "String"},
		{Name: "type", Type: "LowCardinality(String)"},
		{Name: "received_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "done", Type: "Bool"},
		{Name: "done_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "detail", Type: "String"},
		{Name: "body", Type: "String"},
	}, w.ID, w.Type, w.ReceivedAt.UTC(), w.Done, orEpoch(w.DoneAt), w.Detail, string(w.Body))
}

// OpenWebhooks returns events that are not dealt with, the oldest first.
func (q *Queries) OpenWebhooks(ctx context.Context, limit uint64) ([]schema.Webhook, error) {
	rows, err := collect(ctx, q.conn, openWebhooks, limit)
	var all []schema.Webhook
	for _, row := range rows {
		w := row.Webhook
		w.ReceivedAt, w.Body = w.ReceivedAt.UTC(), []byte(row.body)
		all = append(all, w)
	}
	return all, err
}
