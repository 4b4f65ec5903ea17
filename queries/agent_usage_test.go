package queries_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestInventedUsageTypesAreBounded: who invents a usage type for every event gets no answer that
// fills a node's memory. Without the bound of its own, all 10,001 are collected, of 5,000,000.
func TestInventedUsageTypesAreBounded(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	ask := func(organization string, to time.Time) (int, error) {
		t.Helper()
		rows, err := q.AgentUsage(t.Context(), queries.AgentUsageParams{
			Organization: named(organization), Agent: named("agent"), From: from, To: to,
		})
		return len(rows), queries.Narrow(err)
	}
	fill := func(organization string, types int) {
		db.Exec(fmt.Sprintf(`INSERT INTO agent_usage_15m
			(organization_id, agent_id, slot, usage_type, quantity, events, measurements)
			SELECT '%s', '%s', '2026-03-01 00:00:00', concat('T', toString(number)), 1, 1, 1
			FROM numbers(%d)`, named(organization), named("agent"), types))
	}
	fill("few", 10_000)
	fill("many", 10_001)
	for _, to := range []time.Time{from.Add(time.Hour), from.Add(time.Hour + time.Second)} {
		if n, err := ask("few", to); err != nil || n != 10_000 {
			t.Errorf("%d types, %v", n, err)
		}
		if n, err := ask("many", to); schema.KindOf(err) != schema.TooLarge {
			t.Errorf("%d types, %v", n, err)
		}
	}
}
