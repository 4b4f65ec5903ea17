package tabular

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// TestTheEngineReadsThem: another reader than the library that wrote finds the same types and
// values in each format.
func TestTheEngineReadsThem(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	rows := [][]any{table[0], table[2], table[1]}
	const want = "2026-03-28 23:00:00.000000|gpt-4o, \"mini\"|5.25|2|0.000000975|false\n" +
		"2026-11-01 00:30:00.123456||-9223372036854775807.999999|-1|999999999999999.999999999999|true\n" +
		"-|-|-|-|-|-"
	for format, named := range map[schema.ExportFormat]string{
		schema.FormatParquet: "Parquet", schema.FormatArrow: "ArrowStream",
		schema.FormatCSV: "CSVWithNames", schema.FormatNDJSON: "JSONEachRow",
	} {
		structure := ""
		if format == schema.FormatCSV || format == schema.FormatNDJSON { // they have no types
			structure = `'time Nullable(DateTime64(6, ''UTC'')), model Nullable(String),
				quantity Nullable(Decimal(38, 6)), events Nullable(Int64),
				billed_cost_usd Nullable(Decimal(38, 12)), other Nullable(Bool)', `
		} else {
			types := strings.Join(db.Strings("SELECT DISTINCT arrayStringConcat([toTypeName(time), "+
				"toTypeName(model), toTypeName(quantity), toTypeName(events), "+
				"toTypeName(billed_cost_usd), toTypeName(other)], ' ') FROM format("+named+
				", unhex('"+hex.EncodeToString(written(t, format, rows))+"'))"), "")
			const want = "Nullable(DateTime64(6, 'UTC')) Nullable(String) Nullable(Decimal(38, 6)) " +
				"Nullable(Int64) Nullable(Decimal(38, 12)) Nullable(Bool)"
			if types != want {
				t.Errorf("%s: %s", format, types)
			}
		}
		got := strings.Join(db.Strings("SELECT arrayStringConcat([ifNull(toString(time), '-'), "+
			"ifNull(model, '-'), ifNull(toString(quantity), '-'), ifNull(toString(events), '-'), "+
			"ifNull(toString(billed_cost_usd), '-'), ifNull(toString(other), '-')], '|') FROM format("+
			named+", "+structure+"unhex('"+hex.EncodeToString(written(t, format, rows))+"')) "+
			"SETTINGS date_time_input_format = 'best_effort'"), "\n")
		w := want
		if format == schema.FormatNDJSON {
			w = strings.Replace(w, "false", "-", 1) // it is left out: see Column.Rare
		}
		if got != w {
			t.Errorf("%s:\n%s\nwant\n%s", format, got, w)
		}
	}
}

// BenchmarkEngine is what ADR 11 compares BenchmarkWrite with: a million rows like its own, written
// by the engine.
func BenchmarkEngine(b *testing.B) {
	db := schematest.NewEmpty(b)
	if len(db.Options.Addr) == 0 || db.Options.Protocol.String() != "http" {
		b.Log("not the embedded engine: it has no HTTP interface to ask")
		return
	}
	for _, format := range []string{"JSONEachRow", "CSVWithNames", "Parquet", "ArrowStream"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				const rows = 1_000_000
				before, bytes := peak(b, true), int64(0)
				cpu := processorTime(b)
				bytes = ask(b, db, fmt.Sprintf(`SELECT toDateTime64(intDiv(number, 1000) * 900, 6, 'UTC')
					AS time, concat('model-', toString(number %% 997)) AS model,
					toDecimal128(number * 2654435761 %% 1000003, 6) AS quantity,
					toInt64(number %% 100) AS events, toDecimal128(quantity, 12) / 1000000 AS cost,
					false AS other FROM numbers(%d) SETTINGS max_threads = 1 FORMAT %s`, rows, format))
				b.ReportMetric(float64(peak(b, false)-before)/1024, "MiB-peak")
				b.ReportMetric(float64(bytes>>20), "MiB-written")
				b.ReportMetric((processorTime(b) - cpu).Seconds(), "cpu-s")
			}
		})
	}
}

func ask(b *testing.B, db *schematest.Database, query string) int64 {
	b.Helper()
	request, err := http.NewRequest("POST", "http://"+db.Options.Addr[0]+"/", strings.NewReader(query))
	if err != nil {
		b.Fatal(err)
	}
	request.SetBasicAuth(db.Options.Auth.Username, db.Options.Auth.Password)
	client := http.DefaultClient
	if dial := db.Options.DialContext; dial != nil {
		client = &http.Client{Transport: &http.Transport{DialContext: func(
			ctx context.Context, _, address string) (net.Conn, error) {
			return dial(ctx, address)
		}}}
	}
	answer, err := client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d bytes, %v", answer.Status, n, err)
	}
	return n
}

// peak returns the most memory the process has had, in KiB, from now on if it is reset.
func peak(b *testing.B, reset bool) int64 {
	b.Helper()
	if reset {
		_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // else the peak is of all time
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
