package usage

import (
	"encoding/json"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

// columnsOf returns the columns of a question's answer.
func columnsOf(q schema.UsageQuery) []tabular.Column {
	columns := []tabular.Column{{Name: "time", Kind: tabular.Instant}}
	for _, d := range q.GroupBy {
		kind := tabular.Text
		if d == schema.DimensionChargeable {
			kind = tabular.Flag
		}
		columns = append(columns, tabular.Column{Name: string(d), Kind: kind})
	}
	columns = append(columns,
		tabular.Column{Name: "quantity", Kind: tabular.Quantity},
		tabular.Column{Name: "events", Kind: tabular.Integer},
		tabular.Column{Name: "provider_cost_usd", Kind: tabular.Money},
		tabular.Column{Name: "billed_cost_usd", Kind: tabular.Money},
		tabular.Column{Name: "unpriced_events", Kind: tabular.Integer})
	if q.Top > 0 {
		columns = append(columns, tabular.Column{Name: "other", Kind: tabular.Flag, Rare: true})
	}
	return columns
}

// appendRow appends a row's value for each of columnsOf. No agent and no user is an empty text;
// null is what the dimensions of the other row are, and what cannot be known.
func appendRow(to []any, q schema.UsageQuery, row schema.UsageRow) []any {
	to = append(to, row.Time)
	for i, d := range q.GroupBy {
		switch {
		case row.Other:
			to = append(to, nil)
		case d == schema.DimensionChargeable:
			to = append(to, row.Values[i] == "true")
		case isID(d) && row.Values[i] == uuid.Nil.String():
			to = append(to, "")
		default:
			to = append(to, row.Values[i])
		}
	}
	var quantity, events any
	if row.Counted {
		quantity = row.Quantity
	}
	if row.Events >= 0 {
		events = row.Events
	}
	to = append(to, quantity, events, row.ProviderCost, row.BilledCost, row.Unpriced)
	if q.Top > 0 {
		to = append(to, row.Other)
	}
	return to
}

// newTable returns a writer of a question's rows.
func newTable(
	w io.Writer, format schema.ExportFormat, q schema.UsageQuery,
) (tabular.Writer, error) {
	if format == schema.FormatJSON {
		return newDocument(w, q)
	}
	return tabular.New(w, format, columnsOf(q))
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
	return &document{w: w, columns: columnsOf(q), buf: text}, nil
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
