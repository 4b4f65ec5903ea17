package queries

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// AskText asks a question of a test's own, of one column of text, and hands each row to each.
func AskText(
	ctx context.Context, q *Queries, text string, settings map[string]any, each func(string) error,
) error {
	test := question[none, string]{
		name: "test", text: text, bind: bindNone,
		into: func(s *string) []any { return []any{s} },
	}
	return stream(ctx, q.conn, test.with(clickhouse.Settings(settings)), none{}, each)
}

// AnalystSettings are those of analysts' questions.
func AnalystSettings() map[string]any { return analystSettings() }
