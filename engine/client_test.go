package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

func TestClientBasics(t *testing.T) {
	conn := open(t)
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := conn.ServerVersion()
	if err != nil || v.DisplayName != displayName || v.Version.Major != 26 || v.Revision != 0 {
		t.Fatalf("server version %+v, %v", v, err)
	}
	rows, err := conn.Query(t.Context(), "SELECT number, toString(number) FROM numbers(3)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var n uint64
		var s string
		if err := rows.Scan(&n, &s); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(n, s))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"00", "11", "22"}, got); diff != "" {
		t.Error(diff)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM numbers(10)"); n != 10 {
		t.Error(n)
	}
}

func TestBatchFillsTableAndView(t *testing.T) {
	for name, method := range map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4,
		"zstd": clickhouse.CompressionZSTD, "gzip": clickhouse.CompressionGZIP,
		"deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
	} {
		t.Run(name, func(t *testing.T) {
			conn := openWith(t, func(o *clickhouse.Options) {
				o.Compression = &clickhouse.Compression{Method: method, Level: 1}
			})
			source := table(t, conn, "(at DateTime64(3), k String, v UInt64) "+
				"ENGINE = MergeTree ORDER BY k")
			target := table(t, conn, "(k String, v UInt64) ENGINE = SummingMergeTree ORDER BY k")
			execSQL(t, conn, "CREATE MATERIALIZED VIEW "+source+"_mv TO "+target+
				" AS SELECT k, sum(v) AS v FROM "+source+" GROUP BY k")
			defer execSQL(t, conn, "DROP VIEW "+source+"_mv")

			batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO "+source)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10000 {
				if err := batch.Append(time.UnixMilli(int64(i)), fmt.Sprint(i%7), uint64(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := batch.Send(); err != nil {
				t.Fatal(err)
			}
			const want = 10000 * 9999 / 2
			if got := scalar[uint64](t, conn, "SELECT sum(v) FROM "+source); got != want {
				t.Errorf("table: %d, want %d", got, want)
			}
			if got := scalar[uint64](t, conn, "SELECT sum(v) FROM "+target); got != want {
				t.Errorf("view: %d, want %d", got, want)
			}
			var one string
			err = conn.QueryRow(t.Context(), "SELECT nope").Scan(&one)
			wantCode(t, err, 47)
		})
	}
}
