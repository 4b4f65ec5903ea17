package queries

import (
	"context"

	"github.com/meterhouse/meterhouse/schema"
)

var consoleKeys = ask("console_keys", bindNone, func(r *consoleKeyRow) []any {
	return []any{&r.ID, &r.secret, &r.CreatedAt}
})

type consoleKeyRow struct {
	schema.ConsoleKey
	secret string
}

// ConsoleKeys returns the keys of the console's sessions, the oldest first. They are few.
func (q *Queries) ConsoleKeys(ctx context.Context) ([]schema.ConsoleKey, error) {
	var all []schema.ConsoleKey
	err := stream(ctx, q.conn, consoleKeys, none{}, func(r consoleKeyRow) error {
		r.Secret, r.CreatedAt = []byte(r.secret), r.CreatedAt.UTC()
		all = append(all, r.ConsoleKey)
		return nil
	})
	return all, err
}

const insertConsoleKeys = "insert_console_keys"

// AddConsoleKey adds a key. Several nodes may add one at once: all of them count.
func (q *Queries) AddConsoleKey(ctx context.Context, k schema.ConsoleKey) error {
	return q.insertRow(ctx, insertConsoleKeys, noAsync, []tableColumn{
		{Name: "id", Type: "UUID"},
		{Name: "secret", Type: "String"},
		{Name: "created_at", Type: "DateTime64(6, 'UTC')"},
	}, k.ID, string(k.Secret), k.CreatedAt.UTC())
}
