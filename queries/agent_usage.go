package queries

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// AgentUsageParams asks about one agent in [From, To), exact to the microsecond.
type AgentUsageParams struct {
	Organization uuid.UUID
	Agent        uuid.UUID
	From         time.Time
	To           time.Time
}

// AgentUsageRow is the sum of one usage type.
type AgentUsageRow struct {
	UsageType   string
	LogInsights bool // usage of the service schema.LogInsights
	Quantity    schema.Quantity
}

// quarter is the grain of agent_usage_15m.
const quarter = 15 * time.Minute

var agentUsage = ask("agent_usage", func(p AgentUsageParams) []any {
	slotFrom, slotTo := wholeQuarters(p.From, p.To)
	return []any{
		id("organization", p.Organization),
		id("agent", p.Agent),
		text("log_insights", schema.LogInsights),
		moment("from", p.From),
		moment("head_to", slotFrom),
		second("slot_from", slotFrom),
		second("slot_to", slotTo),
		moment("tail_from", slotTo),
		moment("to", p.To),
	}
}, intoAgentUsage).with(fewTypes)

var agentUsageQuarters = ask("agent_usage_quarters", func(p AgentUsageParams) []any {
	return []any{
		id("organization", p.Organization),
		id("agent", p.Agent),
		text("log_insights", schema.LogInsights),
		second("slot_from", p.From),
		second("slot_to", p.To),
	}
}, intoAgentUsage).with(fewTypes)

func intoAgentUsage(r *AgentUsageRow) []any {
	return []any{&r.UsageType, &r.LogInsights, &r.Quantity}
}

// oneThread is for what reads few granules: handing them to several threads takes longer.
var oneThread = clickhouse.Settings{"max_threads": 1}

// fewTypes is oneThread for what has a row for each usage type, of which a client may invent as many
// as it likes: the answer is collected.
var fewTypes = clickhouse.Settings{
	"max_threads": 1, "max_result_rows": usageTypesMax, "result_overflow_mode": "throw",
}

// usageTypesMax is how many usage types an AgentUsage may have; Narrow tells of more.
const usageTypesMax = 10_000

// AgentUsage returns what an agent used, ordered by usage type. A usage type whose every
// measurement was taken back is absent.
func (q *Queries) AgentUsage(ctx context.Context, p AgentUsageParams) ([]AgentUsageRow, error) {
	p.From, p.To = storable(p.From), storable(p.To)
	if !p.From.Before(p.To) {
		return nil, nil
	}
	if p.From.Equal(p.From.Truncate(quarter)) && p.To.Equal(p.To.Truncate(quarter)) {
		return collect(ctx, q.conn, agentUsageQuarters, p)
	}
	return collect(ctx, q.conn, agentUsage, p)
}

// wholeQuarters returns the whole quarter hours in [from, to): a half-open range, which is empty
// at to when there are none, so that the ledger answers for all of [from, to).
func wholeQuarters(from, to time.Time) (slotFrom, slotTo time.Time) {
	slotFrom = from.Truncate(quarter)
	if slotFrom.Before(from) {
		slotFrom = slotFrom.Add(quarter)
	}
	slotTo = to.Truncate(quarter)
	if !slotFrom.Before(slotTo) {
		// A DateTime has no microseconds, an empty range needs none.
		return to, to
	}
	return slotFrom, slotTo
}

// The range of a DateTime: no event is outside.
var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC)
)

// storable returns the instant that bounds the same rows and fits every time type of our tables:
// in [1970, 2106), rounded up to the microsecond, since no row lies between.
func storable(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	if up := t.Truncate(time.Microsecond); up.Before(t) {
		return up.Add(time.Microsecond)
	}
	return t
}

// AgentFirstEventParams asks about one agent.
type AgentFirstEventParams struct {
	Organization uuid.UUID
	Agent        uuid.UUID
}

var agentFirstEvent = ask("agent_first_event", func(p AgentFirstEventParams) []any {
	return []any{id("organization", p.Organization), id("agent", p.Agent)}
}, func(t *time.Time) []any { return []any{t} })

// AgentFirstEvent returns when an agent's first event happened, and false when it has none.
func (q *Queries) AgentFirstEvent(
	ctx context.Context, p AgentFirstEventParams,
) (time.Time, bool, error) {
	t, ok, err := first(ctx, q.conn, agentFirstEvent, p)
	return t.UTC(), ok, err
}
