package queries

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// Hold is a time during which no node inserts into the ledger. What nodes accept meanwhile stays in
// their logs.
type Hold struct {
	ID     uuid.UUID // a UUIDv7; zero: there is none
	Reason string
	Until  time.Time // when it ends if nobody ends it, by the database's clock
}

type holdRow struct {
	now  time.Time
	hold Hold
}

var hold = ask("hold", bindNone, func(r *holdRow) []any {
	return []any{&r.now, &r.hold.ID, &r.hold.Until}
})

// Hold returns the time by the database's clock and the hold that is active, without its reason. Of
// several it is the oldest: the others are kept one after the other.
func (q *Queries) Hold(ctx context.Context) (now time.Time, active Hold, err error) {
	row, _, err := first(ctx, q.conn, hold, none{})
	return row.now, row.hold, err
}

const insertHolds = "insert_holds"

// PlaceHold places a hold that ends by itself after a while, and returns it; or renews one, when it
// is told its id. It is in force when AwaitHold says so.
func (q *Queries) PlaceHold(
	ctx context.Context, h Hold, lasts time.Duration,
) (Hold, error) {
	now, _, err := q.Hold(ctx)
	if err != nil {
		return Hold{}, err
	}
	if h.ID == uuid.Nil {
		h.ID = uuid.Must(uuid.NewV7())
	}
	h.Until = now.Add(lasts)
	return h, q.sayHold(ctx, h, now)
}

// ReleaseHold ends a hold: nodes insert again within about a second.
func (q *Queries) ReleaseHold(ctx context.Context, h Hold) error {
	now, _, err := q.Hold(ctx)
	if err != nil {
		return err
	}
	h.Until = time.Time{}
	return q.sayHold(ctx, h, now)
}

func (q *Queries) sayHold(ctx context.Context, h Hold, now time.Time) error {
	return q.insertRow(ctx, insertHolds, clickhouse.Settings{"async_insert": 0},
		[]clickhouse.ColumnNameAndType{
			{Name: "id", Type: "UUID"},
			{Name: "reason", Type: "String"},
			{Name: "until", Type: "DateTime64(6, 'UTC')"},
			{Name: "version", Type: "UInt64"},
		}, h.ID, h.Reason, storable(h.Until), uint64(now.UnixMicro()))
}

// ErrNodeAbsent is a node that went without saying that it has nothing half done.
var ErrNodeAbsent = errors.New("does not answer and may have an insert half done; start it " +
	"again, or say that it will never run again")

// AwaitHold returns when every node that runs keeps the hold: none of them inserts into the ledger
// until the hold ends, and on a cluster every replica has what they did. A node that went without saying that it has nothing half done is an
// ErrNodeAbsent that names it. It waits while an older hold is active.
func (q *Queries) AwaitHold(ctx context.Context, h Hold) error {
	const look = 100 * time.Millisecond
	for {
		kept, err := q.holdKept(ctx, h)
		if err != nil {
			return err
		}
		if kept {
			return q.syncReplicas(ctx)
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *Queries) holdKept(ctx context.Context, h Hold) (bool, error) {
	now, active, err := q.Hold(ctx)
	if err != nil {
		return false, err
	}
	if active.ID == uuid.Nil {
		return false, fmt.Errorf("hold %s has ended", h.ID)
	}
	all, err := q.Nodes(ctx)
	if err != nil {
		return false, err
	}
	kept := active.ID == h.ID
	for _, n := range all {
		switch {
		case n.Stopped:
		case !n.Live(now):
			return false, fmt.Errorf("node %s %w", n.ID, ErrNodeAbsent)
		case n.Hold != h.ID:
			kept = false
		}
	}
	return kept, nil
}
