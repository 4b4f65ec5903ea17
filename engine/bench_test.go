package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// BenchmarkInsert sends a million rows per round through PrepareBatch, in batches as large as the
// ledger's, into a MergeTree with a view behind it.
func BenchmarkInsert(b *testing.B) {
	const rows, size = 1_000_000, 50_000
	conn := open(b)
	source := table(b, conn, "(at DateTime64(3), agent UUID, kind LowCardinality(String), "+
		"quantity UInt64) ENGINE = MergeTree ORDER BY (agent, at)")
	target := table(b, conn, "(day Date, agent UUID, kind LowCardinality(String), "+
		"quantity UInt64) ENGINE = SummingMergeTree ORDER BY (agent, kind, day)")
	execSQL(b, conn, "CREATE MATERIALIZED VIEW "+source+"_mv TO "+target+" AS SELECT "+
		"toDate(at) AS day, agent, kind, sum(quantity) AS quantity FROM "+source+
		" GROUP BY day, agent, kind")
	defer execSQL(b, conn, "DROP VIEW "+source+"_mv")
	agents := make([]uuid.UUID, 100)
	for i := range agents {
		agents[i] = uuid.New()
	}
	at := make([]time.Time, size)
	agent := make([]uuid.UUID, size)
	kind := make([]string, size)
	quantity := make([]uint64, size)
	for i := range size {
		at[i] = time.UnixMilli(int64(1_700_000_000_000 + i))
		agent[i], kind[i], quantity[i] = agents[i%len(agents)], []string{"INPUT", "OUTPUT"}[i%2], 7
	}
	for b.Loop() {
		for range rows / size {
			batch, err := conn.PrepareBatch(b.Context(), "INSERT INTO "+source)
			if err != nil {
				b.Fatal(err)
			}
			for i, column := range []any{at, agent, kind, quantity} {
				if err := batch.Column(i).Append(column); err != nil {
					b.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkPointQuery asks for one key of a million rows, one question at a time and several.
func BenchmarkPointQuery(b *testing.B) {
	conn := openWith(b, func(o *clickhouse.Options) { o.MaxOpenConns, o.MaxIdleConns = 16, 16 })
	name := table(b, conn, "(k UInt64, v UInt64) ENGINE = MergeTree ORDER BY k")
	execSQL(b, conn, "INSERT INTO "+name+" SELECT number, number FROM numbers(1000000)")
	execSQL(b, conn, "OPTIMIZE TABLE "+name+" FINAL")
	sql := "SELECT sum(v) FROM " + name + " WHERE k = {k:UInt64}"
	ask := func(b *testing.B, k uint64) {
		var v uint64
		if err := conn.QueryRow(b.Context(), sql, clickhouse.Named("k", k)).Scan(&v); err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			ask(b, uint64(len(took)))
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	})
	b.Run("eight", func(b *testing.B) {
		b.SetParallelism(4) // times GOMAXPROCS
		b.RunParallel(func(p *testing.PB) {
			for k := uint64(0); p.Next(); k++ {
				ask(b, k)
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
	})
}
