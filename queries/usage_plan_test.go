package queries_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

func usageQuestion(
	t testing.TB, zone, from, to string, g schema.Granularity, dims ...schema.Dimension,
) schema.UsageQuery {
	t.Helper()
	return schema.UsageQuery{
		Organization: named("acme"), From: at(t, from), To: at(t, to), Granularity: g,
		Zone: zoneNamed(t, zone), GroupBy: dims,
	}
}

// TestUsagePlan says which table answers what.
func TestUsagePlan(t *testing.T) {
	t.Parallel()
	f := func(q schema.UsageQuery, want ...string) {
		t.Helper()
		got, err := queries.UsagePlan(q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", showQuestion(q), diff)
		}
	}
	const (
		agent, user    = schema.DimensionAgent, schema.DimensionUser
		model, service = schema.DimensionModel, schema.DimensionService
		year, next     = "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
	)
	whole := "2025-01-01T00:00:00/2026-01-01T00:00:00"
	// Aligned to the zone and the table: one table, one span.
	f(usageQuestion(t, "UTC", year, next, schema.Day, model), "billable_hourly "+whole)
	f(usageQuestion(t, "Europe/Rome", year, next, schema.Day, model), "billable_hourly "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Month), "billable_hourly "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Day, agent, model), "consumption_daily "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Month, user), "consumption_monthly "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Total, schema.DimensionPurpose),
		"consumption_monthly "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Hour, agent), "agent_usage_15m "+whole)
	f(usageQuestion(t, "Asia/Kathmandu", year, next, schema.QuarterHour, service),
		"agent_usage_15m "+whole)
	f(usageQuestion(t, "Asia/Kolkata", year, next, schema.Hour, model), "agent_usage_15m "+whole)
	// What only the ledger knows, or what no rollup knows so finely.
	f(usageQuestion(t, "UTC", year, next, schema.Month, schema.DimensionChannel),
		"usage_events "+whole)
	f(usageQuestion(t, "UTC", year, next, schema.Hour, user), "usage_events "+whole)
	f(usageQuestion(t, "Europe/Rome", year, next, schema.Day, user), "usage_events "+whole)
	// A filter is a dimension like any other.
	filtered := usageQuestion(t, "UTC", year, next, schema.Day, model)
	filtered.Filters = map[schema.Dimension][]string{agent: {named("a").String()}}
	f(filtered, "consumption_daily "+whole)
	filtered.Filters = map[schema.Dimension][]string{schema.DimensionEndpoint: {"/"}}
	f(filtered, "usage_events "+whole)
	// Edges of the range.
	f(usageQuestion(t, "UTC", "2025-01-01T10:20:30.000001Z", "2025-02-03T00:00:00.000001Z",
		schema.Day, model),
		"billable_hourly 2025-01-01T11:00:00/2025-02-03T00:00:00",
		"agent_usage_15m 2025-01-01T10:30:00/2025-01-01T11:00:00",
		"usage_events 2025-01-01T10:20:30.000001/2025-01-01T10:30:00 "+
			"2025-02-03T00:00:00/2025-02-03T00:00:00.000001")
	f(usageQuestion(t, "UTC", "2024-12-30T23:59:59Z", "2025-03-02T12:00:00Z", schema.Month, agent),
		"consumption_monthly 2025-01-01T00:00:00/2025-03-01T00:00:00",
		"consumption_daily 2024-12-31T00:00:00/2025-01-01T00:00:00 "+
			"2025-03-01T00:00:00/2025-03-02T00:00:00",
		"agent_usage_15m 2025-03-02T00:00:00/2025-03-02T12:00:00",
		"usage_events 2024-12-30T23:59:59/2024-12-31T00:00:00")
	f(usageQuestion(t, "UTC", "2025-01-01T10:01:00Z", "2025-01-01T10:02:00Z", schema.Total),
		"usage_events 2025-01-01T10:01:00/2025-01-01T10:02:00")
	// Edges of buckets.
	f(usageQuestion(t, "Asia/Kolkata", "2025-01-01T18:30:00Z", "2025-01-03T18:30:00Z", schema.Day),
		"billable_hourly 2025-01-01T19:00:00/2025-01-02T18:00:00 "+
			"2025-01-02T19:00:00/2025-01-03T18:00:00",
		"agent_usage_15m 2025-01-01T18:30:00/2025-01-01T19:00:00 "+
			"2025-01-02T18:00:00/2025-01-02T19:00:00 2025-01-03T18:00:00/2025-01-03T18:30:00")
	f(usageQuestion(t, "Europe/Rome", "2025-01-31T23:00:00Z", "2025-02-28T23:00:00Z", schema.Month,
		user),
		"consumption_daily 2025-02-01T00:00:00/2025-02-28T00:00:00",
		"usage_events 2025-01-31T23:00:00/2025-02-01T00:00:00 "+
			"2025-02-28T00:00:00/2025-02-28T23:00:00")
}

// TestPlansCoverTheirRange takes random questions: what the sources of a plan answer for is the
// range, each instant once, and whole grains of each.
func TestPlansCoverTheirRange(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -seed=%d", seed)
	w := usageWorld{r: rand.New(rand.NewPCG(seed, 3))}
	w.make(t)
	for range 2000 {
		q := w.question()
		spans, err := queries.UsageSpans(q)
		if err != nil {
			t.Fatal(err)
		}
		if problem := cover(q, spans); problem != "" {
			t.Fatalf("%s: %s: %v", showQuestion(q), problem, spans)
		}
	}
}

func cover(q schema.UsageQuery, spans []queries.UsageSpan) string {
	ends := map[int64]int64{} // from → to
	for _, s := range spans {
		if s.From >= s.To || ends[s.From] != 0 {
			return fmt.Sprint("empty or twice: ", s)
		}
		ends[s.From] = s.To
		for _, edge := range []int64{s.From, s.To} {
			at := time.UnixMicro(edge).UTC()
			whole := map[string]bool{
				"usage_events":        true,
				"agent_usage_15m":     at.Equal(at.Truncate(15 * time.Minute)),
				"billable_hourly":     at.Equal(at.Truncate(time.Hour)),
				"consumption_daily":   at.Equal(at.Truncate(24 * time.Hour)),
				"consumption_monthly": at.Equal(at.Truncate(24*time.Hour)) && at.Day() == 1,
			}
			if !whole[s.Source] {
				return fmt.Sprint("no whole grain: ", s)
			}
		}
	}
	at := q.From.UnixMicro()
	for range spans {
		at = ends[at]
	}
	if at != q.To.UnixMicro() {
		return "not the range"
	}
	return ""
}

// TestUsageFilesAreOfTheSameParts: SQL is not built, so the files of one question repeat its parts.
func TestUsageFilesAreOfTheSameParts(t *testing.T) {
	t.Parallel()
	legs := map[string]string{}
	frame := ""
	for _, name := range []string{
		"usage_month", "usage_day", "usage_hour", "usage_quarter", "usage_event", "usage_mixed",
		"usage_mixed_hours",
	} {
		b, err := os.ReadFile(name + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(b), "\nSELECT\n")
		head, rest, _ := strings.Cut(text, "        FROM\n        (\n")
		inside, tail, found := strings.Cut(rest, "\n        )\n    )\n")
		if !found {
			t.Fatalf("%s has no legs", name)
		}
		if frame == "" {
			frame = head + tail
		}
		if diff := cmp.Diff(frame, head+tail); diff != "" {
			t.Errorf("%s differs from the others around its legs:\n%s", name, diff)
		}
		for _, leg := range strings.Split(inside, "\n            UNION ALL\n") {
			_, table, _ := strings.Cut(leg, "\n            FROM ")
			table, _, _ = strings.Cut(table, "\n")
			if legs[table] == "" {
				legs[table] = leg
			}
			if diff := cmp.Diff(legs[table], leg); diff != "" {
				t.Errorf("%s reads %s otherwise than another file:\n%s", name, table, diff)
			}
		}
	}
	if len(legs) != 5 {
		t.Errorf("%d tables", len(legs))
	}
}
