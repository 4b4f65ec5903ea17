package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func TestClientReadsFiveMillionRows(t *testing.T) {
	rows, err := open(t).Query(t.Context(), "SELECT number FROM numbers(5000000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n, sum uint64
	for rows.Next() {
		var v uint64
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		n, sum = n+1, sum+v
	}
	if err := rows.Err(); err != nil || n != 5_000_000 || sum != n*(n-1)/2 {
		t.Errorf("%d rows, sum %d, %v", n, sum, err)
	}
}

// The query fails after more was sent than is held back.
const failsLate = "SELECT number, throwIf(number = 3000000) FROM numbers(4000000) " +
	"SETTINGS max_block_size = 10000, max_threads = 1"

func TestFailureInTheMiddleIsTypedForTheClient(t *testing.T) {
	for name, method := range map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4,
		"zstd": clickhouse.CompressionZSTD, "gzip": clickhouse.CompressionGZIP,
		"deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
	} {
		t.Run(name, func(t *testing.T) {
			conn := openWith(t, func(o *clickhouse.Options) {
				o.Compression = &clickhouse.Compression{Method: method, Level: 1}
			})
			rows, err := conn.Query(t.Context(), failsLate)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			n := 0
			for rows.Next() {
				n++
			}
			if n == 0 {
				t.Error("no rows before the failure: it was not in the middle")
			}
			wantCode(t, rows.Err(), 395)
		})
	}
}

func TestFailureInTheMiddleBreaksTheAnswer(t *testing.T) {
	for _, format := range []string{"Native", "CSV", "JSON"} {
		got := post(t, text(failsLate), "default_format="+format)
		tag := got.header.Get("X-ClickHouse-Exception-Tag")
		if got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) ||
			!strings.Contains(got.body, "\r\n__exception__\r\n"+tag+"\r\nCode: 395.") ||
			!strings.HasSuffix(got.body, tag+"\r\n__exception__\r\n") {
			t.Errorf("%s: status %d, error %v, ends %q", format, got.status, got.err,
				got.body[max(0, len(got.body)-100):])
		}
		got = post(t, text(failsLate), "default_format="+format, "wait_end_of_query=1")
		if got.status != 500 || !strings.HasPrefix(got.body, "Code: 395.") {
			t.Errorf("%s, waited for: status %d", format, got.status)
		}
	}
}

func TestQueryFormatStreamsOneDocument(t *testing.T) {
	conn := open(t)
	for format, want := range map[string][2]string{
		"CSVWithNames": {"\"number\"\n0\n", "\n299999\n"},
		"JSONEachRow":  {"{\"number\":0}\n", "\n{\"number\":299999}\n"},
		"JSON":         {"{\n\t\"meta\":", "}\n"},
		"Parquet":      {"PAR1", "PAR1"},
		"Arrow":        {"ARROW1", "ARROW1"},
	} {
		stream, err := conn.QueryFormat(t.Context(), format,
			"SELECT number FROM numbers(300000) ORDER BY number")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(stream)
		if err != nil {
			t.Errorf("%s: %v", format, err)
		}
		_ = stream.Close()
		got := string(body)
		if !strings.HasPrefix(got, want[0]) || !strings.HasSuffix(got, want[1]) {
			t.Errorf("%s: %d bytes, %q … %q", format, len(got), got[:20], got[len(got)-20:])
		}
		if n := strings.Count(got, want[0]); format != "Parquet" && format != "Arrow" && n != 1 {
			t.Errorf("%s: %d documents in one answer", format, n)
		}
	}
	entries, err := os.ReadDir(shared.db.dir + "/" + pipesDir)
	if err != nil || len(entries) != 0 {
		t.Errorf("pipes left behind: %v, %v", entries, err)
	}
}

// running counts the queries in the engine that hold a mark, the counting one apart.
func running(t testing.TB, mark string) uint64 {
	t.Helper()
	row, err := shared.db.ask("SELECT count() FROM system.processes WHERE position(query, " +
		quote(mark) + ") > 0 AND position(query, 'system.processes') = 0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(row), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCancelledQueriesFreeTheEngine(t *testing.T) {
	conn := open(t)
	table := table(t, conn, "(a UInt64) ENGINE = MergeTree ORDER BY a")
	for _, sql := range []string{
		"SELECT count() FROM numbers(1000000000000)",
		"SELECT sleepEachRow(0.1) FROM numbers(1000) SETTINGS max_block_size = 1, " +
			"function_sleep_max_microseconds_per_block = 100000000",
		"SELECT number FROM numbers(1000000000000) ORDER BY rand()",
		"SELECT count() FROM numbers(1000000000000) FORMAT JSON",
		"INSERT INTO " + table + " SELECT number FROM numbers(1000000000000) " +
			"WHERE sipHash64(number) = 1",
	} {
		t.Run(sql, func(t *testing.T) {
			mark := "/* " + randomLetters(12) + " */"
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() { failed <- conn.Exec(ctx, strings.Replace(sql, " ", " "+mark+" ", 1)) }()
			eventually(t, "the query runs", func() bool { return running(t, mark) == 1 })
			began := time.Now()
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want that it was cancelled", err)
			}
			eventually(t, "the query is gone", func() bool { return running(t, mark) == 0 })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+table); n != 0 {
		t.Errorf("%d rows of a cancelled insert", n)
	}
}

// A client that stops reading a large result and leaves must not leave the query behind, whatever
// the format.
func TestAbandonedResultsFreeTheEngine(t *testing.T) {
	for _, format := range []string{"Native", "CSV"} {
		mark := "/* " + randomLetters(12) + " */"
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+shared.Addr()+"/?default_format="+format,
			text("SELECT "+mark+" number FROM numbers(1000000000000)"))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("default", shared.Password())
		resp, err := plainClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if running(t, mark) != 1 {
			t.Error("the query is not running")
		}
		_ = resp.Body.Close()
		eventually(t, format+" query is gone", func() bool { return running(t, mark) == 0 })
	}
}

func TestDisconnectInTheMiddleOfAnInsertLeavesNothing(t *testing.T) {
	conn := open(t)
	name := table(t, conn, "(a UInt64, b String) ENGINE = MergeTree ORDER BY a")
	native := post(t, text("SELECT number AS a, repeat('x', 50) AS b FROM numbers(500000)"),
		"default_format=Native").body
	csv := strings.Repeat("1,x\n", 200000)
	for format, body := range map[string]string{"Native": native, "CSV": csv} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+shared.Addr()+
			"/?query=INSERT+INTO+"+name+"+FORMAT+"+format, &slowReader{
			parts: []string{body[:len(body)/2], body[len(body)/2 : len(body)-10]},
			pause: 100 * time.Millisecond,
			err:   errors.New("the client is gone"),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("default", shared.Password())
		if resp, err := plainClient.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: answered %s", format, resp.Status)
		}
		eventually(t, "the insert is gone", func() bool { return running(t, name+" FORMAT") == 0 })
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+name); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}
