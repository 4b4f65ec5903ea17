package queries_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// told returns a database with usage of two meters in each hour from start on, of which Stripe was
// told but for four slots.
func told(b *testing.B, organizations, hours int, start time.Time) *queries.Queries {
	b.Helper()
	db, q := open(b)
	catalog := schema.Catalog{Meters: []schema.Meter{
		{Name: "out", Unit: schema.WholeUnits, UsageTypes: []string{schema.Output}},
	}}
	for i := range organizations {
		o := schema.Organization{ID: named(fmt.Sprint("organization ", i)), Name: "o"}
		o.Stripe.Customer, o.Stripe.Meter = fmt.Sprint("cus_", i), "usage"
		o.Stripe.Meters = []schema.MeterMapping{{Meter: "out"}}
		catalog.Organizations = append(catalog.Organizations, o)
	}
	err := q.SaveCatalog(b.Context(), schema.CatalogChange{
		Version: 1, At: start, Actor: "bench", Summary: "bench", Upsert: catalog,
	})
	if err != nil {
		b.Fatal(err)
	}
	db.Exec(fmt.Sprintf(`INSERT INTO billable_hourly
		SELECT id, toDateTime('%s', 'UTC') + 3600 * h.number, kind.1, kind.2, true,
			1000 + h.number %% 77, 0.5, 0.123456789012, 10, 10, 0
		FROM organizations CROSS JOIN numbers(%d) AS h
		ARRAY JOIN [('OUTPUT', 'gpt-5'), ('INPUT', 'gpt-5'), ('INPUT', 'claude')] AS kind`,
		start.Format(time.DateTime), hours))
	db.Exec(`INSERT INTO report_intents SELECT organization_id, meter, window_start, 1,
			'preaggregated', units, units,
			concat('mh1-', toString(organization_id), '-', meter, toString(window_start)), 'cus', '',
			window_start + 4200, organization_id, 1, organization_id
		FROM metered_slots`)
	db.Exec(`INSERT INTO report_outcomes SELECT organization_id, meter, window_start, 1,
			'accepted', 0, created_at + 1, writer, 200, 'req_12345678', ''
		FROM report_intents`)
	db.Exec(fmt.Sprintf(`INSERT INTO billable_hourly
		SELECT id, toDateTime('%s', 'UTC'), 'INPUT', 'gpt-4', true, 1, 1, 1, 1, 1, 0
		FROM organizations LIMIT 4`, start.AddDate(0, 0, 9).Format(time.DateTime)))
	return q
}

// BenchmarkOpenSlots looks for four differences among 420,000 slots of 35 days, each with three
// rows of usage, a revision and its outcome: 250 organizations, two meters.
func BenchmarkOpenSlots(b *testing.B) {
	const organizations, hours = 250, 840
	start := at(b, "2026-10-18T00:00:00Z")
	now := start.Add(hours * time.Hour)
	q := told(b, organizations, hours, start)
	p := queries.OpenSlotsParams{
		Mode: schema.Preaggregated, From: start, Sealed: now, Now: now, Limit: 5000,
	}
	before, n := cpuTime(b), 0
	for b.Loop() {
		n++
		all, err := q.OpenSlots(b.Context(), p)
		if err != nil || len(all) != 4 {
			b.Fatalf("%d slots, %v, want 4", len(all), err)
		}
	}
	// The engine's and the client's: less at the mercy of neighbours.
	b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(n), "cpu-ms/op")
}

// BenchmarkDueCarries looks for what has to be carried among 400 days of 60 organizations: 1,152,000
// slots, of which four are due.
func BenchmarkDueCarries(b *testing.B) {
	const organizations, hours = 60, 9600
	start := at(b, "2025-10-18T00:00:00Z")
	now := start.Add(hours * time.Hour)
	q := told(b, organizations, hours, start)
	p := queries.DueParams{
		Mode: schema.Preaggregated, From: start, Oldest: now.AddDate(0, 0, -35), Carried: now,
		Limit: 1000,
	}
	before, n := cpuTime(b), 0
	for b.Loop() {
		n++
		all, err := q.DueCarries(b.Context(), p)
		if err != nil || len(all) != 4 {
			b.Fatalf("%d are due, %v, want 4", len(all), err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(n), "cpu-ms/op")
}
