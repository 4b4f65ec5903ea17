package queries

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// ComparisonsParams asks for comparisons made in [From, To).
type ComparisonsParams struct {
	Organization uuid.UUID // zero: every one's
	From, To     time.Time
	Limit        uint64
}

var comparisons = ask("comparisons",
	func(p ComparisonsParams) []any {
		return []any{
			id("organization", p.Organization), moment("from", p.From), moment("to", p.To),
			number("limit", p.Limit),
		}
	},
	func(c *schema.Comparison) []any {
		return []any{
			&c.Organization, &c.Meter, &c.From, &c.To, &c.Ledger, &c.Reported, &c.Stripe,
			&c.Repaired, &c.At, &c.Run, &c.Part,
		}
	})

const insertStripeComparisons = "insert_stripe_comparisons"

// InsertComparisons keeps comparisons.
func (q *Queries) InsertComparisons(ctx context.Context, all []schema.Comparison) error {
	settings := clickhouse.Settings{"async_insert": 0}
	return q.insertBlock(ctx, insertStripeComparisons, settings, []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "meter", Type: "LowCardinality(String)"},
		{Name: "from_time", Type: "DateTime('UTC')"},
		{Name: "to_time", Type: "DateTime('UTC')"},
		{Name: "ledger_units", Type: "Int64"},
		{Name: "reported_units", Type: "Int64"},
		{Name: "stripe_units", Type: "Int64"},
		{Name: "repaired", Type: "UInt32"},
		{Name: "at", Type: "DateTime64(6, 'UTC')"},
		{Name: "run", Type: "UUID"},
		{Name: "part", Type: "Bool"},
	}, rowsFor(all, func(c schema.Comparison) []any {
		return []any{
			c.Organization, c.Meter, c.From.UTC(), c.To.UTC(), c.Ledger, c.Reported, c.Stripe,
			c.Repaired, c.At.UTC(), c.Run, c.Part,
		}
	}))
}

// Comparisons returns comparisons, the newest first.
func (q *Queries) Comparisons(
	ctx context.Context, p ComparisonsParams,
) ([]schema.Comparison, error) {
	all, err := collect(ctx, q.conn, comparisons, p)
	for i := range all {
		c := &all[i]
		c.From, c.To, c.At = c.From.UTC(), c.To.UTC(), c.At.UTC()
	}
	return all, err
}
