package queries

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var stripePeriods = ask("stripe_periods",
	func(organization uuid.UUID) []any { return []any{id("organization", organization)} },
	func(p *schema.StripePeriod) []any {
		return []any{
			&p.Meter, &p.Start, &p.End, &p.Finalized, &p.Invoice, &p.InvoicedUnits, &p.SeenAt,
		}
	})

const insertStripePeriods = "insert_stripe_periods"

// SavePeriods writes what invoices told of periods. A finalized one stays so.
func (q *Queries) SavePeriods(ctx context.Context, all []schema.StripePeriod) error {
	settings := clickhouse.Settings{"async_insert": 0}
	return q.insertBlock(ctx, insertStripePeriods, settings, []tableColumn{
		{Name: "organization_id", Type: "UUID"},
		{Name: "meter", Type: "LowCardinality(String)"},
		{Name: "period_start", Type: "DateTime('UTC')"},
		{Name: "period_end", Type: "DateTime('UTC')"},
		{Name: "finalized", Type: "Bool"},
		{Name: "invoice_id", Type: "String"},
		{Name: "invoiced_units", Type: "Int64"},
		{Name: "seen_at", Type: "DateTime64(6, 'UTC')"},
	}, rowsFor(all, func(p schema.StripePeriod) []any {
		return []any{
			p.Organization, p.Meter, p.Start.UTC(), p.End.UTC(), p.Finalized, p.Invoice,
			p.InvoicedUnits, p.SeenAt.UTC(),
		}
	}))
}

// StripePeriods returns an organization's periods, the newest first.
func (q *Queries) StripePeriods(
	ctx context.Context, organization uuid.UUID,
) ([]schema.StripePeriod, error) {
	all, err := collect(ctx, q.conn, stripePeriods, organization)
	for i := range all {
		p := &all[i]
		p.Organization = organization
		p.Start, p.End, p.SeenAt = p.Start.UTC(), p.End.UTC(), p.SeenAt.UTC()
	}
	return all, err
}
