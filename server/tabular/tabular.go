// Package tabular writes rows of answers as NDJSON, CSV, Parquet and Arrow, a few at a time: no
// answer is ever held whole.
package tabular

import (
	"fmt"
	"io"

	"github.com/meterhouse/meterhouse/schema"
)

// Kind is the type of a column.
type Kind uint8

// The kinds of columns, with the Go type of their values; nil is null.
const (
	Text     Kind = iota + 1 // string
	Instant                  // time.Time; JSON and CSV show its zone, Parquet and Arrow UTC micros
	Integer                  // int64
	Quantity                 // schema.Quantity; Decimal(38, 6)
	Money                    // schema.USD; Decimal(38, 12)
	Flag                     // bool
)

// Column is one column of a table.
type Column struct {
	Name string
	Kind Kind
	Rare bool // JSON leaves it out where it is null or false
}

// Writer writes the rows of one table. It is for one goroutine.
type Writer interface {
	// Row writes a row: a value of the right type, or nil, for each column. It keeps none of it.
	Row(values []any) error
	// Close writes what is left. It does not close what is written to.
	Close() error
}

// New returns a Writer of a format (not schema.FormatJSON) into w. What it has not written yet is
// bounded: 64 KiB of text, 4,096 rows of Arrow, 65,536 of Parquet.
func New(w io.Writer, format schema.ExportFormat, columns []Column) (Writer, error) {
	switch format {
	case schema.FormatNDJSON:
		return newNDJSON(w, columns), nil
	case schema.FormatCSV:
		return newCSV(w, columns), nil
	case schema.FormatParquet:
		return newParquet(w, columns)
	case schema.FormatArrow:
		return newArrow(w, columns), nil
	}
	return nil, fmt.Errorf("tabular: no format %q", format)
}

// ContentType returns the media type of a format, schema.FormatJSON's too; empty when it is none.
func ContentType(format schema.ExportFormat) string {
	switch format {
	case schema.FormatJSON:
		return "application/json"
	case schema.FormatNDJSON:
		return "application/x-ndjson"
	case schema.FormatCSV:
		return "text/csv; charset=utf-8; header=present"
	case schema.FormatParquet:
		return "application/vnd.apache.parquet"
	case schema.FormatArrow:
		return "application/vnd.apache.arrow.stream"
	}
	return ""
}

// mistyped is a mistake of the program's: a value that is not of its column's kind.
func mistyped(c Column, value any) error {
	return fmt.Errorf("tabular: %s: a %T", c.Name, value)
}

// fits returns an error when a row has not a value for each column.
func fits(columns []Column, values []any) error {
	if len(values) != len(columns) {
		return fmt.Errorf("tabular: %d values for %d columns", len(values), len(columns))
	}
	return nil
}
