package tabular

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/meterhouse/meterhouse/schema"
)

var columns = []Column{
	{Name: "time", Kind: Instant}, {Name: "model", Kind: Text}, {Name: "quantity", Kind: Quantity},
	{Name: "events", Kind: Integer}, {Name: "billed_cost_usd", Kind: Money},
	{Name: "other", Kind: Flag, Rare: true},
}

var rome = func() *time.Location {
	z, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		panic(err)
	}
	return z
}()

func quantity(text string) schema.Quantity {
	q, err := schema.ParseQuantity(text)
	if err != nil {
		panic(err)
	}
	return q
}

func usd(text string) schema.USD {
	u, err := schema.ParseUSD(text)
	if err != nil {
		panic(err)
	}
	return u
}

// table is a row of everything, one of nothing, and the least and greatest there are.
var table = [][]any{
	{time.Date(2026, 3, 29, 0, 0, 0, 0, rome), "gpt-4o, \"mini\"", quantity("5.25"), int64(2),
		usd("0.000000975"), false},
	{nil, nil, nil, nil, nil, nil},
	{time.Date(2026, 11, 1, 1, 30, 0, 123456000, rome), "", quantity("-9223372036854775807.999999"),
		int64(-1), usd("999999999999999.999999999999"), true},
	{time.Unix(0, 0).UTC(), " é\r\n\x7f\\", quantity("0"), int64(1<<63 - 1), usd("-0.1"), nil},
}

func written(t testing.TB, format schema.ExportFormat, rows [][]any) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := New(&b, format, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := w.Row(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNDJSON(t *testing.T) {
	want := `{"time":"2026-03-29T00:00:00+01:00","model":"gpt-4o, \"mini\"","quantity":"5.25",` +
		`"events":2,"billed_cost_usd":"0.000000975"}
{"time":null,"model":null,"quantity":null,"events":null,"billed_cost_usd":null}
{"time":"2026-11-01T01:30:00.123456+01:00","model":"","quantity":"-9223372036854775807.999999",` +
		`"events":-1,"billed_cost_usd":"999999999999999.999999999999","other":true}
{"time":"1970-01-01T00:00:00Z","model":" é\r\n\u007f\\","quantity":"0",` +
		`"events":9223372036854775807,"billed_cost_usd":"-0.1"}
`
	want = strings.ReplaceAll(want, `\u007f`, "\x7f") // JSON may hold it as it is
	if got := string(written(t, schema.FormatNDJSON, table)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestCSV(t *testing.T) {
	want := "time,model,quantity,events,billed_cost_usd,other\r\n" +
		"2026-03-29T00:00:00+01:00,\"gpt-4o, \"\"mini\"\"\",5.25,2,0.000000975,false\r\n" +
		",,,,,\r\n" +
		"2026-11-01T01:30:00.123456+01:00,\"\",-9223372036854775807.999999,-1," +
		"999999999999999.999999999999,true\r\n" +
		"1970-01-01T00:00:00Z,\" é\r\n\x7f\\\",0,9223372036854775807,-0.1,\r\n"
	if got := string(written(t, schema.FormatCSV, table)); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if got := string(written(t, schema.FormatCSV, nil)); strings.Count(got, "\r\n") != 1 {
		t.Errorf("without rows: %q", got)
	}
}

// shown are the rows of a batch, as Arrow shows their values.
func shown(batch arrow.RecordBatch) (rows []string) {
	for i := range int(batch.NumRows()) {
		var row []string
		for _, column := range batch.Columns() {
			row = append(row, column.ValueStr(i))
		}
		rows = append(rows, strings.Join(row, "|"))
	}
	return rows
}

// wantShown is table as Arrow shows it: moments in UTC.
var wantShown = []string{
	"2026-03-28T23:00:00Z|gpt-4o, \"mini\"|5.25|2|9.75e-07|false",
	"(null)|(null)|(null)|(null)|(null)|(null)",
	"2026-11-01T00:30:00.123456Z||-9223372036854775807.999999|-1|" +
		"999999999999999.999999999999|true",
	"1970-01-01T00:00:00Z| é\r\n\x7f\\|0|9223372036854775807|-0.1|(null)",
}

func TestArrow(t *testing.T) {
	r, err := ipc.NewReader(bytes.NewReader(written(t, schema.FormatArrow, table)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	checkSchema(t, r.Schema())
	var got []string
	for r.Next() {
		got = append(got, shown(r.RecordBatch())...)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	checkShown(t, got)
}

func TestParquet(t *testing.T) {
	r, err := file.NewParquetReader(bytes.NewReader(written(t, schema.FormatParquet, table)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := a.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Release()
	checkSchema(t, whole.Schema())
	batches := array.NewTableReader(whole, 0)
	defer batches.Release()
	var got []string
	for batches.Next() {
		got = append(got, shown(batches.RecordBatch())...)
	}
	checkShown(t, got)
}

func checkSchema(t *testing.T, got *arrow.Schema) {
	t.Helper()
	const want = "timestamp[us, tz=UTC] utf8 decimal(38, 6) int64 decimal(38, 12) bool"
	var types []string
	for _, f := range got.Fields() {
		types = append(types, f.Type.String())
	}
	if g := strings.Join(types, " "); g != want {
		t.Errorf("types %s, want %s", g, want)
	}
}

func checkShown(t *testing.T, got []string) {
	t.Helper()
	if len(got) != len(wantShown) {
		t.Fatalf("%d rows: %q", len(got), got)
	}
	for i := range got {
		if got[i] != wantShown[i] {
			t.Errorf("row %d: %q, want %q", i, got[i], wantShown[i])
		}
	}
}

var formats = []schema.ExportFormat{
	schema.FormatNDJSON, schema.FormatCSV, schema.FormatParquet, schema.FormatArrow,
}

func TestMistakes(t *testing.T) {
	if _, err := New(io.Discard, schema.FormatJSON, columns); err == nil {
		t.Error("JSON is taken for a table")
	}
	for _, format := range formats {
		w, err := New(io.Discard, format, columns)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Row(table[0][1:]); err == nil {
			t.Errorf("%s: a value was missing", format)
		}
		for i := range columns {
			w, _ := New(io.Discard, format, columns)
			row := append([]any(nil), table[0]...)
			row[i] = struct{}{}
			if err := w.Row(row); err == nil || !strings.Contains(err.Error(), columns[i].Name) {
				t.Errorf("%s: a value of another type: %v", format, err)
			}
		}
	}
}

var errGone = errors.New("gone")

// broken takes so many bytes.
type broken int

func (b *broken) Write(p []byte) (int, error) {
	if *b -= broken(len(p)); *b < 0 {
		return 0, errGone
	}
	return len(p), nil
}

// Close would be called by a writer that takes what it writes to for its own.
func (b *broken) Close() error { panic("closed") }

// TestWriteErrorsEndIt: whoever it is written to is gone, and rows are no longer taken.
func TestWriteErrorsEndIt(t *testing.T) {
	for _, format := range formats {
		for _, bytes := range []broken{0, 200, 100_000} {
			w, err := New(&bytes, format, columns)
			for i := 0; err == nil && i < 3*groupRows; i++ {
				err = w.Row(many(i))
			}
			if !errors.Is(err, errGone) {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
}

// many is row i of an answer that compresses as badly as usage does.
func many(i int) []any {
	n := schema.WholeQuantity(int64(i) * 2654435761 % 1_000_003)
	return []any{
		time.Unix(int64(i/1000)*900, 0).In(rome), "model-" + strconv.Itoa(i%997), n, int64(i % 100),
		schema.USDOf(n.Coefficient()), false,
	}
}

// TestMemoryIsBounded: what is held does not grow with the rows. Without the bound of a group
// Parquet held 19 MiB.
func TestMemoryIsBounded(t *testing.T) {
	const rows, heapMax = 4 * groupRows, 6 << 20
	for _, format := range formats {
		if held := heapOf(t, format, rows); held > heapMax {
			t.Errorf("%s: %d MiB are held", format, held>>20)
		} else {
			t.Logf("%s: at most %d MiB", format, held>>20)
		}
	}
}

// heapOf returns the most that is held while rows are written, beside what was before.
func heapOf(t testing.TB, format schema.ExportFormat, rows int) int64 {
	t.Helper()
	w, err := New(io.Discard, format, columns)
	if err != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most int64
	for i := range rows {
		if err := w.Row(many(i)); err != nil {
			t.Fatal(err)
		}
		if (i+1)%(groupRows-1) == 0 { // as much as a group can hold
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, int64(now.HeapAlloc)-int64(before.HeapAlloc))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return most
}

// BenchmarkWrite writes a million rows.
func BenchmarkWrite(b *testing.B) {
	for _, format := range formats {
		b.Run(string(format), func(b *testing.B) {
			for b.Loop() {
				const rows = 1_000_000
				cpu := processorTime(b)
				held := heapOf(b, format, rows)
				b.ReportMetric((processorTime(b) - cpu).Seconds(), "cpu-s")
				b.ReportMetric(float64(held>>20), "MiB-held")
			}
		})
	}
}

func ExampleNew() {
	var b strings.Builder
	w, err := New(&b, schema.FormatCSV, []Column{{Name: "model", Kind: Text}})
	if err != nil {
		return
	}
	_ = w.Row([]any{"gpt-4o"})
	_ = w.Close()
	fmt.Println(strings.ReplaceAll(b.String(), "\r\n", " "))
	// Output: model gpt-4o
}
