package queries_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// twoMonths returns events on both sides of a month's end.
func twoMonths(t testing.TB) []schema.Event {
	t.Helper()
	var events []schema.Event
	for i, when := range []string{"2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00Z"} {
		events = append(events, schema.Event{
			Organization: named("acme"), ID: named(fmt.Sprint("event", i)), Entry: schema.Record,
			Time: at(t, when), IngestTime: at(t, when), User: named("ada"), Agent: named("agent"),
			Service: "s", Provider: "OpenAI", Model: "gpt-4o-mini", Chargeable: true, Purpose: "QA",
			Measurements: []schema.Measurement{
				{
					UsageType: schema.Input, Quantity: quantity(t, "1200.000001"),
					ProviderCost: usd(t, "0.000000000001"), BilledCost: usd(t, "0.000000000002"),
					Rate: named("rate"), Pricing: schema.Rated,
				},
				{UsageType: schema.Output, Quantity: quantity(t, "350")},
			},
		})
	}
	return events
}

func batchOf(events []schema.Event) *queries.EventBatch {
	var b queries.EventBatch
	for i := range events {
		b.Append(&events[i], named("node"), uint64(i+1))
	}
	return &b
}

func TestSameTokenCountsOnceEverywhere(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	events := twoMonths(t)
	for range 3 {
		if err := q.InsertEvents(t.Context(), "token", batchOf(events)); err != nil {
			t.Fatal(err)
		}
	}
	checkSums(t, db, "4 2 2 3100.000002 0.000000000002 0.000000000004")
	if n := db.Strings("SELECT toString(count()) FROM dimensions")[0]; n != "1" {
		t.Errorf("%s dimensions, want 1", n)
	}
	if err := q.InsertEvents(t.Context(), "other", batchOf(events)); err != nil {
		t.Fatal(err)
	}
	checkSums(t, db, "8 4 4 6200.000004 0.000000000004 0.000000000008")
}

func TestEventsReadBackAsWritten(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	e := schema.Event{
		Organization: named("acme"), ID: named("id"), Revision: 7, Entry: schema.Reversal,
		Time: at(t, "2026-03-29T01:30:00.123456Z"), IngestTime: at(t, "2026-03-29T01:30:01Z"),
		User: named("ada"), Agent: named("agent"), Service: "service", Channel: "channel",
		APIName: "api", Endpoint: "/chat", Provider: "OpenAI", ProviderEndpoint: "https://x",
		ProviderKey: "sk-…abcd", Model: "gpt", Chargeable: true, Purpose: "QA",
		Measurements: []schema.Measurement{
			{UsageType: "A", Quantity: quantity(t, "-9223372036854775807.999999"),
				ProviderCost: usd(t, "-999999999999999.999999999999"), BilledCost: usd(t, "0.5"),
				Rate: named("rate"), Pricing: schema.Given},
			{UsageType: "B"},
		},
	}
	var b queries.EventBatch
	b.Append(&e, named("node"), 1<<63+1)
	if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
		t.Fatal(err)
	}
	got := db.Strings(`SELECT formatRowNoNewline('CSV', *) FROM usage_events ORDER BY ordinal`)
	want := []string{
		fmt.Sprintf(`"%s","%s",7,"reversal","2026-03-29 01:30:00.123456",`+
			`"2026-03-29 01:30:01.000000","%s","%s","service","channel","api","/chat","OpenAI",`+
			`"https://x","sk-…abcd","gpt",true,"QA","A",0,-9223372036854775807.999999,`+
			`-999999999999999.999999999999,0.5,"%s","given","%s",9223372036854775809`,
			named("acme"), named("id"), named("ada"), named("agent"), named("rate"), named("node")),
		fmt.Sprintf(`"%s","%s",7,"reversal","2026-03-29 01:30:00.123456",`+
			`"2026-03-29 01:30:01.000000","%s","%s","service","channel","api","/chat","OpenAI",`+
			`"https://x","sk-…abcd","gpt",true,"QA","B",1,0,0,0,"%s","unpriced","%s",`+
			`9223372036854775809`,
			named("acme"), named("id"), named("ada"), named("agent"), uuid.UUID{}, named("node")),
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("row %d:\n got %v\nwant %s", i, got, want[i])
		}
	}
}

// TestLargeBatchIsOneBlock has more groups than a block of ClickHouse's default size has rows.
func TestLargeBatchIsOneBlock(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	const rows = 70_000
	var b queries.EventBatch
	start := at(t, "2026-05-01T00:00:00Z")
	for i := range rows {
		e := schema.Event{
			Organization: named("acme"), ID: uuid.UUID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)},
			Entry: schema.Record, Time: start.Add(time.Duration(i) * 10 * time.Second),
			Agent: uuid.UUID{0: byte(i), 1: byte(i >> 8), 3: 1}, Model: fmt.Sprint("model-", i),
			Measurements: []schema.Measurement{{UsageType: "A", Quantity: schema.WholeQuantity(1)}},
		}
		b.Append(&e, named("node"), uint64(i))
	}
	for range 2 {
		if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
			t.Fatal(err)
		}
	}
	checkSums(t, db, fmt.Sprintf("%d %d %d %d 0 0", rows, rows, rows, rows))
	got := db.Strings(`SELECT table, toString(count()), toString(max(level)) FROM system.parts
		WHERE database = currentDatabase() AND active AND table = 'usage_events'
		GROUP BY table`)
	if len(got) != 1 || got[0] != "usage_events 1 0" {
		t.Errorf("parts (table, count, level): %v, want one unmerged", got)
	}
}
