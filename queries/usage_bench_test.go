package queries_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// BenchmarkUsage asks about a year of 100,000 events of one organization; the last, from the ledger
// alone, is what the tables save.
func BenchmarkUsage(b *testing.B) {
	_, q := open(b)
	start := at(b, "2025-01-01T00:00:00Z")
	events := traffic(b, 0)
	for round := range 2 {
		for i := range events {
			e := &events[i]
			e.Organization, e.ID = named("acme"), named(fmt.Sprint(round, i))
			e.Time = start.Add(time.Duration(2*i+round) * (365 * 24 * time.Hour / (2 * benchRows)))
		}
		if err := q.InsertEvents(b.Context(), fmt.Sprint(round), batchOf(events)); err != nil {
			b.Fatal(err)
		}
	}
	year := func(zone string, g schema.Granularity, dims ...schema.Dimension) schema.UsageQuery {
		return usageQuestion(b, zone, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", g, dims...)
	}
	agent := year("Europe/Rome", schema.Day, schema.DimensionUsageType)
	agent.Filters = map[schema.Dimension][]string{
		schema.DimensionAgent: {named("agent 7").String()},
	}
	top := year("UTC", schema.Day, schema.DimensionUser)
	top.Top, top.OrderBy = 3, schema.OrderBilledCost
	for _, c := range []struct {
		name  string
		query schema.UsageQuery
	}{
		{"day_by_model", year("Europe/Rome", schema.Day, schema.DimensionModel)},
		{"day_of_half_hours", year("Asia/Kolkata", schema.Day, schema.DimensionModel)},
		{"day_of_an_agent", agent},
		{"month_by_user", year("Europe/Rome", schema.Month, schema.DimensionUser)},
		{"top_users", top},
	} {
		b.Run(c.name, func(b *testing.B) { ask(b, q.Usage, c.query) })
	}
	model := year("Europe/Rome", schema.Day, schema.DimensionModel)
	b.Run("day_by_model_of_ledger", func(b *testing.B) { ask(b, q.UsageOfLedger, model) })
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			if _, err := q.UsageVersion(b.Context(), model); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func ask(b *testing.B, usage usageFunc, query schema.UsageQuery) {
	rows := 0
	for b.Loop() {
		rows = 0
		err := usage(b.Context(), query, func(schema.UsageRow) error { rows++; return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows), "rows")
}

// BenchmarkUsagePlan is what a question costs before it is asked.
func BenchmarkUsagePlan(b *testing.B) {
	query := usageQuestion(b, "Asia/Kolkata", "2016-01-01T00:00:00Z", "2026-01-01T00:00:00Z",
		schema.Day)
	for b.Loop() {
		if _, err := queries.UsageSpans(query); err != nil {
			b.Fatal(err)
		}
	}
}
