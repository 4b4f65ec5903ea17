package queries

import (
	"context"
	"fmt"
	"time"
)

var (
	keyWeeks        = askKeyWeeks("key_weeks")
	keyWeeksCluster = askKeyWeeks("key_weeks_cluster")
)

func askKeyWeeks(name string) question[time.Time, string] {
	return ask(name, func(before time.Time) []any {
		return []any{day("before", before)}
	}, func(week *string) []any { return []any{week} })
}

const dropEventKeys = "drop_event_keys"

// DropKeys forgets the keys that were accepted in weeks before a day, and returns how many weeks
// that were. Two nodes may do it at once.
func (q *Queries) DropKeys(ctx context.Context, before time.Time) (int, error) {
	weeks, err := collect(ctx, q.conn, pick(q, keyWeeks, keyWeeksCluster), before)
	if err != nil {
		return 0, err
	}
	for _, week := range weeks {
		err := q.change(ctx, dropEventKeys, text("week", week))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", dropEventKeys, brief(err))
		}
	}
	return len(weeks), nil
}
