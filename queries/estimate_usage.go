package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// EstimateParams asks for an organization's metered usage in [From, To), both whole hours.
type EstimateParams struct {
	Organization uuid.UUID
	From, To     time.Time
	Recent       time.Time // from which on usage shows the present rate
}

// EstimateRow is what was used of a model, for a meter.
type EstimateRow struct {
	Meter          string // empty: no meter counts it
	Unit           schema.MeterUnit
	Model          string
	UsageType      string
	Quantity       schema.Quantity
	BilledCost     schema.USD
	RecentQuantity schema.Quantity
	RecentCost     schema.USD
	Unpriced       int64
}

type estimateRow struct {
	EstimateRow
	unit uint8
}

var estimateUsage = ask("estimate_usage",
	func(p EstimateParams) []any {
		return []any{
			id("organization", p.Organization), second("from", p.From), second("to", p.To),
			second("recent", p.Recent),
		}
	},
	func(r *estimateRow) []any {
		return []any{
			&r.Meter, &r.unit, &r.Model, &r.UsageType, &r.Quantity, &r.BilledCost,
			&r.RecentQuantity, &r.RecentCost, &r.Unpriced,
		}
	})

// EstimateUsage returns what was used so far, ordered by meter, model and usage type.
func (q *Queries) EstimateUsage(ctx context.Context, p EstimateParams) ([]EstimateRow, error) {
	rows, err := collect(ctx, q.conn, estimateUsage, p)
	var all []EstimateRow
	for _, row := range rows {
		row.Unit = schema.MeterUnit(row.unit)
		all = append(all, row.EstimateRow)
	}
	return all, err
}
