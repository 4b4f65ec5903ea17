package queries_test

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

const benchRows = 50_000

// traffic returns events as a busy service sends them: 1,000 agents, each of three users, four
// models and two usage types, within a few minutes.
func traffic(b *testing.B, batch int) []schema.Event {
	b.Helper()
	start := at(b, "2026-05-20T10:00:00Z").Add(time.Duration(batch) * time.Minute)
	events := make([]schema.Event, benchRows)
	for i := range events {
		events[i] = schema.Event{
			Organization: named(fmt.Sprint("organization ", i%20)), ID: uuid.New(),
			Entry: schema.Record, Time: start.Add(time.Duration(i) * time.Millisecond),
			IngestTime: start, User: named(fmt.Sprint("user ", i%60)),
			Agent: named(fmt.Sprint("agent ", i%1000)), Channel: "web", APIName: "llm_query",
			Endpoint: "/chat", Provider: "OpenAI", ProviderEndpoint: "https://api.openai.com/v1",
			ProviderKey: "sk-…abcd", Model: fmt.Sprint("gpt-", i/7%4), Chargeable: true,
			Purpose: "QA",
			Measurements: []schema.Measurement{{
				UsageType:    []string{schema.Input, schema.Output}[i%2],
				Quantity:     schema.WholeQuantity(int64(i%5000 + 1)),
				ProviderCost: usd(b, "0.000123456789"), BilledCost: usd(b, "0.000223456789"),
				Rate: named("rate"), Pricing: schema.Rated,
			}},
		}
	}
	return events
}

// BenchmarkAppend is the client's part before the wire.
func BenchmarkAppend(b *testing.B) {
	events := traffic(b, 0)
	var batch queries.EventBatch
	node := named("node")
	for b.Loop() {
		batch.Reset()
		for i := range events {
			batch.Append(&events[i], node, uint64(i))
		}
	}
	perRow(b)
}

// BenchmarkFill is the hand-over to clickhouse-go and its encoding, without a server.
func BenchmarkFill(b *testing.B) {
	batch := batchOf(traffic(b, 0))
	for b.Loop() {
		if err := queries.EncodeNative(io.Discard, batch); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b)
}

// BenchmarkInsertEvents stores batches of 50,000 rows, with what the engine's share is made of
// taken away in turn.
func BenchmarkInsertEvents(b *testing.B) {
	views := []string{
		"consumption_monthly_view", "consumption_daily_view", "billable_hourly_view",
		"agent_usage_15m_view", "dimensions_view",
	}
	run := func(name string, prepare ...string) {
		b.Run(name, func(b *testing.B) {
			db, q := open(b)
			for _, statement := range prepare {
				db.Exec(statement)
			}
			var batches []*queries.EventBatch
			for i := range 8 {
				batches = append(batches, batchOf(traffic(b, i)))
			}
			n := 0
			before := cpuTime(b)
			for b.Loop() {
				n++
				err := q.InsertEvents(b.Context(), fmt.Sprint("batch ", n), batches[n%len(batches)])
				if err != nil {
					b.Fatal(err)
				}
			}
			perRow(b)
			// The engine's and the client's, merges included: less at the mercy of neighbours.
			cpu := float64((cpuTime(b) - before).Nanoseconds())
			b.ReportMetric(cpu/(float64(b.N)*benchRows), "cpu-ns/row")
		})
	}
	var noSync, noViews []string
	for _, table := range strings.Fields(`usage_events dimensions agent_usage_15m
		billable_hourly consumption_daily consumption_monthly`) {
		noSync = append(noSync, "ALTER TABLE "+table+
			" MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
	}
	for _, view := range views {
		noViews = append(noViews, "DROP TABLE "+view)
	}
	run("as_is")
	run("without_fsync", noSync...)
	run("without_dimensions_view", "DROP TABLE dimensions_view")
	run("without_views", noViews...)
	run("without_views_and_fsync", append(noViews, noSync...)...)
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func perRow(b *testing.B) {
	rows := float64(b.N) * benchRows
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/row")
}
