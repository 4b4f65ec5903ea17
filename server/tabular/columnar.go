package tabular

import (
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	batchRows = 4096  // of Arrow, and of what is handed to Parquet
	groupRows = 65536 // of Parquet: a group is held until it is whole
)

// arrowTypes of the kinds.
var arrowTypes = map[Kind]arrow.DataType{
	Text:     arrow.BinaryTypes.String,
	Instant:  &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
	Integer:  arrow.PrimitiveTypes.Int64,
	Quantity: &arrow.Decimal128Type{Precision: 38, Scale: schema.QuantityScale},
	Money:    &arrow.Decimal128Type{Precision: 38, Scale: schema.USDScale},
	Flag:     arrow.FixedWidthTypes.Boolean,
}

func arrowSchema(columns []Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowTypes[c.Kind], Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// columnar gathers rows into batches.
type columnar struct {
	columns []Column
	builder *array.RecordBuilder
	rows    int
	write   func(arrow.RecordBatch) error
	end     func() error
}

func newColumnar(columns []Column) *columnar {
	return &columnar{
		columns: columns,
		builder: array.NewRecordBuilder(memory.DefaultAllocator, arrowSchema(columns)),
	}
}

func newArrow(w io.Writer, columns []Column) *columnar {
	c := newColumnar(columns)
	stream := ipc.NewWriter(w, ipc.WithSchema(c.builder.Schema()))
	c.write, c.end = stream.Write, stream.Close
	return c
}

func newParquet(w io.Writer, columns []Column) (*columnar, error) {
	c := newColumnar(columns)
	options := []parquet.WriterProperty{
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithMaxRowGroupLength(groupRows),
		parquet.WithDictionaryDefault(false),
		parquet.WithCreatedBy("meterhouse"),
	}
	for _, column := range columns {
		if column.Kind == Text {
			options = append(options, parquet.WithDictionaryFor(column.Name, true))
		}
	}
	// Closing a file closes what it is written to, which is the caller's.
	file, err := pqarrow.NewFileWriter(c.builder.Schema(), struct{ io.Writer }{w},
		parquet.NewWriterProperties(options...), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	c.write, c.end = file.WriteBuffered, file.Close
	return c, nil
}

func (c *columnar) Row(values []any) error {
	if err := fits(c.columns, values); err != nil {
		return err
	}
	for i, column := range c.columns {
		if !appendValue(c.builder.Field(i), column.Kind, values[i]) {
			return mistyped(column, values[i])
		}
	}
	if c.rows++; c.rows < batchRows {
		return nil
	}
	return c.flush()
}

func (c *columnar) flush() error {
	batch := c.builder.NewRecordBatch()
	defer batch.Release()
	c.rows = 0
	if err := c.write(batch); err != nil {
		return fmt.Errorf("tabular: %w", err)
	}
	return nil
}

func (c *columnar) Close() error {
	if c.rows > 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("tabular: %w", err)
	}
	return nil
}

// appendValue reports whether the value is of the kind.
func appendValue(to array.Builder, kind Kind, value any) bool {
	if value == nil {
		to.AppendNull()
		return true
	}
	var ok bool
	switch kind {
	case Text:
		var v string
		if v, ok = value.(string); ok {
			to.(*array.StringBuilder).Append(v)
		}
	case Instant:
		var v time.Time
		if v, ok = value.(time.Time); ok {
			to.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
		}
	case Integer:
		var v int64
		if v, ok = value.(int64); ok {
			to.(*array.Int64Builder).Append(v)
		}
	case Quantity:
		var v schema.Quantity
		if v, ok = value.(schema.Quantity); ok {
			n := v.Coefficient()
			to.(*array.Decimal128Builder).Append(decimal128.New(n.Hi, n.Lo))
		}
	case Money:
		var v schema.USD
		if v, ok = value.(schema.USD); ok {
			n := v.Coefficient()
			to.(*array.Decimal128Builder).Append(decimal128.New(n.Hi, n.Lo))
		}
	case Flag:
		var v bool
		if v, ok = value.(bool); ok {
			to.(*array.BooleanBuilder).Append(v)
		}
	}
	return ok
}
