package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// UnpricedParams asks what had no rate in the UTC hours that start in [From, To).
type UnpricedParams struct {
	Organization uuid.UUID // zero: every one
	From         time.Time
	To           time.Time
	Limit        uint64
}

// UnpricedRow is what an organization used of a model and usage type without a rate.
type UnpricedRow struct {
	Organization uuid.UUID
	Model        string // empty: the client named none
	UsageType    string
	Measurements int64           // without a rate
	Quantity     schema.Quantity // of the hours that have such measurements, priced ones included
	First, Last  time.Time       // the first and the last of these hours
}

var unpriced = ask("unpriced", func(p UnpricedParams) []any {
	return []any{
		id("organization", p.Organization),
		second("from", storable(p.From)),
		second("to", storable(p.To)),
		number("limit", p.Limit),
	}
}, func(r *UnpricedRow) []any {
	return []any{
		&r.Organization, &r.Model, &r.UsageType, &r.Measurements, &r.Quantity, &r.First, &r.Last,
	}
})

// Unpriced returns what was used without a rate, the most measurements first.
func (q *Queries) Unpriced(ctx context.Context, p UnpricedParams) ([]UnpricedRow, error) {
	return collect(ctx, q.conn, unpriced, p)
}
