package queries

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const insertEventsName = "insert_events"

var insertEventsText = sqlFile(insertEventsName + ".sql")

var errNoToken = errors.New("a batch needs a token")

// InsertEvents stores a batch, and through the views all that is summed from it, and returns when
// it is on disk. A batch with the same token as an earlier one is taken for the same batch and
// changes nothing, except that it completes what an earlier try left half done: after any error
// the same batch may, and must, be sent again under the same token. A table remembers its newest
// 10,000 tokens, where a batch has one for each month of its events.
//
// The batch is one block, at most BatchRowsMax rows; an empty one is stored by doing nothing.
func (q *Queries) InsertEvents(ctx context.Context, token string, batch *EventBatch) error {
	ctx, span := begin(ctx, insertEventsName)
	err := q.insertEvents(ctx, token, batch)
	end(span, noRows, err)
	if err != nil {
		return fmt.Errorf("%s: %w", insertEventsName, brief(err))
	}
	return nil
}

func (q *Queries) insertEvents(ctx context.Context, token string, b *EventBatch) (err error) {
	switch {
	case b.Rows() == 0:
		return nil
	case b.Rows() > BatchRowsMax:
		return fmt.Errorf("%d rows are more than %d", b.Rows(), BatchRowsMax)
	case token == "":
		return errNoToken
	}
	columns := b.columns()
	types := make([]clickhouse.ColumnNameAndType, len(columns))
	for i, c := range columns {
		types[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
	}
	// Over HTTP the client would ask for the table's columns before each insert.
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(types),
		clickhouse.WithSettings(insertSettings(token)))
	out, err := q.conn.PrepareBatch(ctx, insertEventsText)
	if err != nil {
		return err
	}
	if err := fill(out, columns, b.Rows(), &b.wire); err != nil {
		return errors.Join(err, out.Abort())
	}
	return out.Send()
}

// fill hands the columns to clickhouse-go as if they had come from a server: its columns decode
// fixed-width values by one copy, where appending them converts each.
func fill(out driver.Batch, columns []namedColumn, rows int, wire *proto.Buffer) error {
	targets := out.Columns()
	if len(targets) != len(columns) {
		return fmt.Errorf("the table takes %d columns, the batch has %d",
			len(targets), len(columns))
	}
	var from bytes.Reader
	reader := proto.NewReader(&from)
	for i, c := range columns {
		if got := string(targets[i].Type()); got != c.kind || targets[i].Name() != c.name {
			return fmt.Errorf("column %d of the table is %s %s, of the batch %s %s",
				i, targets[i].Name(), got, c.name, c.kind)
		}
		wire.Reset()
		c.column.EncodeColumn(wire)
		from.Reset(wire.Buf)
		if err := targets[i].Decode(reader, rows); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}
