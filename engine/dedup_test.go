package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// send inserts rows 0..n-1 with a deduplication token.
func send(ctx context.Context, conn driver.Conn, name, token string, n int) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token":                         token,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"async_insert": 0,
	}))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+name)
	if err != nil {
		return err
	}
	for i := range n {
		if err := batch.Append(uint64(i)); err != nil {
			return err
		}
	}
	return batch.Send()
}

func TestTokenDeduplicatesTheViewToo(t *testing.T) {
	conn := open(t)
	const window = " SETTINGS non_replicated_deduplication_window = 100"
	source := table(t, conn, "(a UInt64) ENGINE = MergeTree ORDER BY a"+window)
	target := table(t, conn, "(n UInt64) ENGINE = SummingMergeTree ORDER BY tuple()"+window)
	execSQL(t, conn, "CREATE MATERIALIZED VIEW "+source+"_mv TO "+target+
		" AS SELECT count() AS n FROM "+source)
	defer execSQL(t, conn, "DROP VIEW "+source+"_mv")
	for _, token := range []string{"one", "one", "two", "one", "two"} {
		if err := send(t.Context(), conn, source, token, 10); err != nil {
			t.Fatal(err)
		}
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+source); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
	if n := scalar[uint64](t, conn, "SELECT sum(n) FROM "+target); n != 20 {
		t.Errorf("%d counted by the view, want 20", n)
	}
	// A later insert without a token must not have inherited one.
	for range 2 {
		execSQL(t, conn, "INSERT INTO "+source+" VALUES (1)")
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+source); n < 21 {
		t.Errorf("%d rows, want more than 20: a token leaked", n)
	}
}

// A view that cannot be filled makes the insert an error; the same token fills what is missing.
func TestTokenHealsAHalfFailedInsert(t *testing.T) {
	conn := open(t)
	const window = " SETTINGS non_replicated_deduplication_window = 100"
	source := table(t, conn, "(a UInt64) ENGINE = MergeTree ORDER BY a"+window)
	target := table(t, conn, "(n UInt64, CONSTRAINT few CHECK n < 5) "+
		"ENGINE = SummingMergeTree ORDER BY tuple()"+window)
	execSQL(t, conn, "CREATE MATERIALIZED VIEW "+source+"_mv TO "+target+
		" AS SELECT count() AS n FROM "+source)
	defer execSQL(t, conn, "DROP VIEW "+source+"_mv")
	wantCode(t, send(t.Context(), conn, source, "x", 10), 469)
	execSQL(t, conn, "ALTER TABLE "+target+" DROP CONSTRAINT few")
	if err := send(t.Context(), conn, source, "x", 10); err != nil {
		t.Fatal(err)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+source); n != 10 {
		t.Errorf("%d rows, want 10", n)
	}
	if n := scalar[uint64](t, conn, "SELECT sum(n) FROM "+target); n != 10 {
		t.Errorf("%d counted by the view, want 10", n)
	}
}

// Writers and readers at once, each with settings of its own, must not see one another's.
func TestConcurrentRequestsKeepApart(t *testing.T) {
	conn := openWith(t, func(o *clickhouse.Options) { o.MaxOpenConns = 40 })
	name := table(t, conn, "(a UInt64) ENGINE = MergeTree ORDER BY a "+
		"SETTINGS non_replicated_deduplication_window = 1000")
	const workers, each = 16, 20
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				if err := send(t.Context(), conn, name, fmt.Sprint(w, "-", i), 5); err != nil {
					t.Error(err)
					return
				}
				threads := uint64(1 + w%4)
				ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(
					clickhouse.Settings{"max_threads": threads}))
				var got uint64
				if err := conn.QueryRow(ctx, "SELECT toUInt64(getSetting('max_threads'))").
					Scan(&got); err != nil || got != threads {
					t.Errorf("max_threads %d, want %d: %v", got, threads, err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+name); n != workers*each*5 {
		t.Errorf("%d rows, want %d", n, workers*each*5)
	}
	if n := running(t, name); n != 0 {
		t.Errorf("%d queries are still running", n)
	}
}
