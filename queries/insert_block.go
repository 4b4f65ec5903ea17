package queries

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// tableColumn is a column of a small table, as an insert names it.
type tableColumn = clickhouse.ColumnNameAndType

// claimSettings are those of an insert under a token: of two writers of one token the table keeps
// the first one's rows. The table remembers its newest 10,000 tokens, so the engine is told to give
// up in time as well.
func claimSettings(token string, within time.Duration) clickhouse.Settings {
	settings := insertSettings(token)
	settings["max_execution_time"] = max(1, int(within/time.Second))
	settings["timeout_overflow_mode"] = "throw"
	settings["insert_quorum_parallel"] = 0 // readers are to find every claim before the newest
	return settings
}

// insertBlock writes rows in one block, and does nothing when there are none. The columns are
// named, because over HTTP the client would ask for the table's before each insert.
func (q *Queries) insertBlock(
	ctx context.Context, name string, settings clickhouse.Settings,
	columns []tableColumn, rows [][]any,
) (err error) {
	if len(rows) == 0 {
		return nil
	}
	ctx, span := begin(ctx, name)
	defer func() { end(span, noRows, err) }()
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(columns),
		clickhouse.WithSettings(settings))
	return whenSettled(ctx, func() error {
		out, err := q.conn.PrepareBatch(ctx, sqlFile(name+".sql"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, brief(err))
		}
		for _, row := range rows {
			if err := out.Append(row...); err != nil {
				return fmt.Errorf("%s: %w", name, errors.Join(err, out.Abort()))
			}
		}
		if err := out.Send(); err != nil {
			return fmt.Errorf("%s: %w", name, brief(err))
		}
		return nil
	})
}

// rowsFor returns the rows of an insert of many things.
func rowsFor[T any](all []T, row func(T) []any) [][]any {
	rows := make([][]any, 0, len(all))
	for _, one := range all {
		rows = append(rows, row(one))
	}
	return rows
}

// fromEpoch reads what orEpoch writes.
func fromEpoch(t time.Time) time.Time {
	if t.UnixMicro() == 0 {
		return time.Time{}
	}
	return t.UTC()
}
