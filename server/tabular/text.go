package tabular

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// textMax is how much text is gathered before it is written.
const textMax = 64 << 10

// ndjson writes an object a line.
type ndjson struct {
	w       io.Writer
	columns []Column
	buf     []byte
}

func newNDJSON(w io.Writer, columns []Column) *ndjson { return &ndjson{w: w, columns: columns} }

func (n *ndjson) Row(values []any) error {
	var err error
	if n.buf, err = AppendObject(n.buf, n.columns, values); err != nil {
		return err
	}
	n.buf = append(n.buf, '\n')
	if len(n.buf) < textMax {
		return nil
	}
	return n.Close()
}

func (n *ndjson) Close() error {
	_, err := n.w.Write(n.buf)
	n.buf = n.buf[:0]
	return err
}

// AppendObject appends a row as a JSON object: decimals as strings, instants as RFC 3339 in their
// own zone, null for nil. The error is the program's mistake: a value of the wrong type.
func AppendObject(dst []byte, columns []Column, values []any) ([]byte, error) {
	if err := fits(columns, values); err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	first := true
	for i, c := range columns {
		if c.Rare && (values[i] == nil || values[i] == false) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, c.Name), ':')
		var ok bool
		if dst, ok = appendJSON(dst, c.Kind, values[i]); !ok {
			return dst, mistyped(c, values[i])
		}
	}
	return append(dst, '}'), nil
}

func appendJSON(dst []byte, kind Kind, value any) ([]byte, bool) {
	if value == nil {
		return append(dst, "null"...), true
	}
	switch kind {
	case Text:
		text, ok := value.(string)
		return appendString(dst, text), ok
	case Integer, Flag:
		return appendPlain(dst, kind, value)
	}
	dst, ok := appendPlain(append(dst, '"'), kind, value)
	return append(dst, '"'), ok
}

// appendString appends a JSON string. Most of ours are plain ASCII, for which json.Marshal does
// more than is needed.
func appendString(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil { // not reached: any string can be written
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// appendPlain appends a value without quotes; false when it is not of the kind.
func appendPlain(dst []byte, kind Kind, value any) ([]byte, bool) {
	switch kind {
	case Text:
		v, ok := value.(string)
		return append(dst, v...), ok
	case Instant:
		v, ok := value.(time.Time)
		return appendInstant(dst, v), ok
	case Integer:
		v, ok := value.(int64)
		return strconv.AppendInt(dst, v, 10), ok
	case Quantity:
		v, ok := value.(schema.Quantity)
		return v.Append(dst), ok
	case Money:
		v, ok := value.(schema.USD)
		return v.Append(dst), ok
	case Flag:
		v, ok := value.(bool)
		return strconv.AppendBool(dst, v), ok
	}
	return dst, false
}

// appendInstant writes RFC 3339, which has no offsets of seconds: those that zones had long ago are
// shown in UTC.
func appendInstant(dst []byte, t time.Time) []byte {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.AppendFormat(dst, time.RFC3339Nano)
}

// csv writes RFC 4180, names first. encoding/csv would change line ends within a value.
type csv struct {
	w       io.Writer
	columns []Column
	buf     []byte
}

func newCSV(w io.Writer, columns []Column) *csv {
	c := &csv{w: w, columns: columns}
	for i, column := range columns {
		c.separate(i)
		c.text(column.Name)
	}
	c.buf = append(c.buf, "\r\n"...)
	return c
}

func (c *csv) Row(values []any) error {
	if err := fits(c.columns, values); err != nil {
		return err
	}
	for i, column := range c.columns {
		c.separate(i)
		if values[i] == nil {
			continue
		}
		if text, ok := values[i].(string); ok && column.Kind == Text {
			c.text(text)
			continue
		}
		var ok bool
		if c.buf, ok = appendPlain(c.buf, column.Kind, values[i]); !ok {
			return mistyped(column, values[i])
		}
	}
	c.buf = append(c.buf, "\r\n"...)
	if len(c.buf) < textMax {
		return nil
	}
	return c.Close()
}

func (c *csv) separate(column int) {
	if column > 0 {
		c.buf = append(c.buf, ',')
	}
}

// text writes a text. An empty one is quoted, where null is nothing.
func (c *csv) text(text string) {
	if text != "" && text[0] != ' ' && !strings.ContainsAny(text, ",\"\r\n") {
		c.buf = append(c.buf, text...)
		return
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, strings.ReplaceAll(text, `"`, `""`)...)
	c.buf = append(c.buf, '"')
}

func (c *csv) Close() error {
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
