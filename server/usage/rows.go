package usage

import (
	"encoding/json"
	"io"
	"time"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

// newTable returns a writer of a question's rows.
func newTable(
	w io.Writer, format schema.ExportFormat, q schema.UsageQuery,
) (tabular.Writer, error) {
	if format == schema.FormatJSON {
		return newDocument(w, q)
	}
	return tabular.New(w, format, tabular.UsageColumns(q))
}

// document writes an answer as one JSON object.
type document struct {
	w       io.Writer
	columns []tabular.Column
	buf     []byte
	rows    bool
}

// head is what the object says of the question.
type head struct {
	From        time.Time          `json:"from"`
	To          time.Time          `json:"to"`
	Granularity schema.Granularity `json:"granularity"`
	Zone        string             `json:"timezone"`
	GroupBy     []schema.Dimension `json:"group_by"`
}

func newDocument(w io.Writer, q schema.UsageQuery) (*document, error) {
	h := head{q.From.UTC(), q.To.UTC(), q.Granularity, q.Zone.String(), q.GroupBy}
	if h.GroupBy == nil {
		h.GroupBy = []schema.Dimension{}
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	text = append(text[:len(text)-1], `,"rows":[`...)
	return &document{w: w, columns: tabular.UsageColumns(q), buf: text}, nil
}

// documentMax is how much is gathered before it is written.
const documentMax = 32 << 10

func (d *document) Row(values []any) error {
	if d.rows {
		d.buf = append(d.buf, ',')
	}
	d.rows = true
	var err error
	if d.buf, err = tabular.AppendObject(d.buf, d.columns, values); err != nil {
		return err
	}
	if len(d.buf) < documentMax {
		return nil
	}
	return d.flush()
}

func (d *document) Close() error {
	d.buf = append(d.buf, "]}"...)
	return d.flush()
}

func (d *document) flush() error {
	_, err := d.w.Write(d.buf)
	d.buf = d.buf[:0]
	return err
}
