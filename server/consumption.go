package server

import (
	"context"
	"errors"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// consumptionShared is how many rows a consumption may have to be shared, and collected: as many
// questions are asked at once as there are connections to the database.
const consumptionShared = 2000

// consumption asks for logs of consumption.
type consumption struct {
	ask   func(context.Context, queries.ConsumptionParams, func(queries.ConsumptionRow) error) error
	reads *reads
	turns *turns
}

func (r *reader) ConsumptionLogs(
	ctx context.Context, p dialect.ConsumptionLogsParams, each func(dialect.Consumption) error,
) error {
	ask := r.queries.ConsumptionDaily
	if p.Period == dialect.Monthly {
		ask = r.queries.ConsumptionMonthly
	}
	return consumption{ask, r.reads, r.turns}.logs(ctx, p, each)
}

// logs hands out what somebody who asked the same was answered, unless it is large: that is asked
// once more for each of its askers, in turns with the analysts, and goes to them row by row.
func (c consumption) logs(
	ctx context.Context, p dialect.ConsumptionLogsParams, each func(dialect.Consumption) error,
) error {
	p.From, p.To = p.From.UTC(), p.To.UTC()
	shared, err := read(ctx, c.reads, consumptionReads, p.Organization, p,
		func(ctx context.Context) (found few, _ int, err error) {
			err = c.stream(ctx, p, func(row dialect.Consumption) error {
				if len(found.rows) == consumptionShared {
					return errLarge
				}
				found.rows = append(found.rows, row)
				return nil
			})
			if errors.Is(err, errLarge) {
				return few{large: true}, rowBytes, nil
			}
			return found, rowBytes * (1 + len(found.rows)), err
		})
	switch {
	case err != nil:
		return err
	case shared.large:
		return c.large(ctx, p, each)
	}
	return hand(shared.rows, each)
}

// few is a consumption that is shared, or that it is too large for it.
type few struct {
	rows  []dialect.Consumption
	large bool
}

func (c consumption) large(
	ctx context.Context, p dialect.ConsumptionLogsParams, each func(dialect.Consumption) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, analystTimeout)
	defer cancel()
	give, err := c.turns.take(ctx, p.Organization)
	if err != nil {
		return unavailable(err)
	}
	defer give()
	defer c.reads.metrics.asking(consumptionReads)()
	return unavailable(queries.Narrow(c.stream(ctx, p, each)))
}

func (c consumption) stream(
	ctx context.Context, p dialect.ConsumptionLogsParams, each func(dialect.Consumption) error,
) error {
	return c.ask(ctx, queries.ConsumptionParams{
		Organization: p.Organization, User: p.User, Agent: p.Agent, From: p.From, To: p.To,
	}, func(row queries.ConsumptionRow) error { return each(dialect.Consumption(row)) })
}
