package queries

import (
	"context"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var rates = ask("rates", func(all []uuid.UUID) []any {
	return []any{ids("ids", all)}
}, intoRate)

func intoRate(r *schema.Rate) []any {
	return []any{
		&r.ID, &r.Model, &r.UsageType, &r.Provider,
		&r.ProviderUSDPerMillion, &r.BilledUSDPerMillion, &r.From,
	}
}

// Rates returns the rates with these ids, retired ones too, ordered by model, usage type and
// start. One whose price was changed where it stood is not there any more.
func (q *Queries) Rates(ctx context.Context, all []uuid.UUID) ([]schema.Rate, error) {
	if len(all) == 0 {
		return nil, nil
	}
	return collect(ctx, q.conn, rates, all)
}
