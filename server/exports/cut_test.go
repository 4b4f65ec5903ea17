package exports_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/exports"
)

// TestColumnsAreDocumented ties the columns to the table of docs/exports.md.
func TestColumnsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "exports.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| column | |")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented, want []string
	name := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
	for _, match := range name.FindAllStringSubmatch(table, -1) {
		documented = append(documented, match[1])
	}
	for _, c := range exports.EventColumns {
		want = append(want, c.Name)
	}
	if !slices.Equal(documented, want) {
		t.Errorf("documented are %v, want %v", documented, want)
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestCutQuery: parts are cut where buckets begin, and only where the rows of the parts put
// together are those of the whole.
func TestCutQuery(t *testing.T) {
	f := func(granularity schema.Granularity, zone, from, to string, top int, want ...string) {
		t.Helper()
		z, ok := schema.ParseZone(zone)
		if !ok {
			t.Fatal(zone)
		}
		bounds := exports.CutQuery(schema.UsageQuery{
			From: instant(t, from), To: instant(t, to), Granularity: granularity, Zone: z, Top: top,
		})
		want = append(append([]string{from}, want...), to)
		if len(bounds) != len(want) {
			t.Fatalf("%v, want %v", bounds, want)
		}
		for i := range want {
			if !bounds[i].Equal(instant(t, want[i])) {
				t.Errorf("%v, want %v", bounds, want)
			}
		}
	}
	f(schema.Total, "UTC", "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 0)
	f(schema.Month, "UTC", "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 0)
	f(schema.Hour, "UTC", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", 5)
	f(schema.Hour, "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 0)
	f(schema.Hour, "Europe/Rome", "2026-03-20T10:20:00+01:00", "2026-04-22T00:00:00+02:00", 0,
		"2026-04-21T00:00:00+02:00")
	f(schema.QuarterHour, "America/Santiago", "2025-08-30T10:00:00-04:00",
		"2025-09-08T00:00:00-03:00", 0, "2025-09-07T01:00:00-03:00") // midnight is skipped
	f(schema.QuarterHour, "Asia/Kathmandu", "2026-01-01T00:00:00+05:45",
		"2026-01-09T00:00:00+05:45", 0)
	f(schema.Day, "UTC", "2024-01-01T12:00:00Z", "2026-01-01T00:00:00Z", 0, "2025-01-01T00:00:00Z")
	f(schema.Week, "UTC", "2024-01-04T00:00:00Z", "2026-02-01T00:00:00Z", 0, "2025-12-29T00:00:00Z")
	f(schema.Week, "UTC", "2023-12-31T00:00:00Z", "2026-01-01T00:00:00Z", 0, "2025-12-22T00:00:00Z")
}

func TestCutEvents(t *testing.T) {
	r := schema.EventsRange{
		From: instant(t, "2026-01-01T10:30:00Z"), To: instant(t, "2026-01-02T00:00:00Z"),
	}
	f := func(want string, counts ...int64) {
		t.Helper()
		var hours []queries.ExportHour
		for i, n := range counts {
			hours = append(hours, queries.ExportHour{
				Hour:         r.From.Truncate(time.Hour).Add(time.Duration(i) * time.Hour),
				Measurements: n,
			})
		}
		got := ""
		for _, at := range exports.CutEvents(r, hours, 500_000) {
			got += at.Format("15:04 ")
		}
		if got != want {
			t.Errorf("%v: %s, want %s", counts, got, want)
		}
	}
	f("10:30 00:00 ")
	f("10:30 00:00 ", 500_000)
	f("10:30 11:00 00:00 ", 500_000, 1)
	f("10:30 00:00 ", 250_000, 250_000)
	f("10:30 11:00 12:00 00:00 ", 9_000_000, 9_000_000, 5)
	f("10:30 12:00 00:00 ", 0, 300_000, 300_000, -5)
	f("10:30 11:00 00:00 ", 600_000_000, 400_000, 100_000) // parts are larger when there are many
}
