package usage

import (
	"context"
	"io"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

// rowsOf asks a question and writes its rows.
func (d *api) rowsOf(
	ctx context.Context, w io.Writer, q schema.UsageQuery, format schema.ExportFormat,
) error {
	table, err := newTable(w, format, q)
	if err != nil {
		return err
	}
	var values []any
	err = d.door.Usage.Query(ctx, q, func(row schema.UsageRow) error {
		values = tabular.AppendUsage(values[:0], q, row)
		return table.Row(values)
	})
	if err != nil {
		return err
	}
	return table.Close()
}

var _ tabular.Writer = (*document)(nil)
