// Package tabular writes rows of answers as NDJSON, CSV, Parquet and Arrow, a few at a time: no
// answer is ever held whole.
package tabular

import (
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
}

// Writer writes the rows of one table. It is for one goroutine.
type Writer interface {
	// Row writes a row: a value of the right type, or nil, for each column. It keeps none of it.
	Row(values []any) error
	// Close writes what is left. It does not close what is written to.
	Close() error
}

// New returns a Writer of a format (not schema.FormatJSON) into w.
func New(w io.Writer, format schema.ExportFormat, columns []Column) (Writer, error) {
	panic("not yet")
}

// ContentType returns the media type of a format.
func ContentType(format schema.ExportFormat) string { panic("not yet") }
