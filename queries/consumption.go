package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// ConsumptionParams asks for an organization's consumption by the UTC days, or months, that start
// in [From, To).
type ConsumptionParams struct {
	Organization uuid.UUID
	User         uuid.UUID // zero: every user
	Agent        uuid.UUID // zero: every agent
	From         time.Time // zero: unbounded
	To           time.Time // zero: unbounded
}

// ConsumptionRow is the sum of one usage type in one period.
type ConsumptionRow struct {
	Start            time.Time // of the period
	User             uuid.UUID // zero: none
	Agent            uuid.UUID // zero: none
	UsageType        string
	Provider         string
	ProviderEndpoint string
	ProviderKey      string // obfuscated
	Model            string
	Chargeable       bool
	Purpose          string
	Quantity         schema.Quantity
}

var (
	consumptionDaily   = ask("consumption_daily", bindConsumption, intoConsumption)
	consumptionMonthly = ask("consumption_monthly", bindConsumption, intoConsumption)
)

func bindConsumption(p ConsumptionParams) []any {
	from, to := storable(p.From), latest
	if !p.To.IsZero() {
		to = storable(p.To)
	}
	return []any{
		id("organization", p.Organization),
		id("user", p.User),
		id("agent", p.Agent),
		day("from", dayAtOrAfter(from)),
		day("to", dayAtOrAfter(to)),
	}
}

// dayAtOrAfter returns the first start of a UTC day that is not before t.
func dayAtOrAfter(t time.Time) time.Time {
	const day = 24 * time.Hour
	if start := t.Truncate(day); start.Before(t) {
		return start.Add(day)
	}
	return t
}

func intoConsumption(r *ConsumptionRow) []any {
	return []any{
		&r.Start, &r.User, &r.Agent, &r.UsageType, &r.Provider, &r.ProviderEndpoint,
		&r.ProviderKey, &r.Model, &r.Chargeable, &r.Purpose, &r.Quantity,
	}
}

// ConsumptionDaily hands consumption by UTC day, user and agent, in that order, to each, whose error
// ends it and is returned: a row for each (usage type, provider, endpoint, key, model, charge,
// purpose).
func (q *Queries) ConsumptionDaily(
	ctx context.Context, p ConsumptionParams, each func(ConsumptionRow) error,
) error {
	return stream(ctx, q.conn, consumptionDaily, p, each)
}

// ConsumptionMonthly is ConsumptionDaily by UTC month.
func (q *Queries) ConsumptionMonthly(
	ctx context.Context, p ConsumptionParams, each func(ConsumptionRow) error,
) error {
	return stream(ctx, q.conn, consumptionMonthly, p, each)
}
