package tabular

import (
	"encoding/hex"
	"strings"
	"testing"

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
