package queries

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// Restored is a restoring of the database from a backup.
type Restored struct {
	Ledger     uuid.UUID // of the ledger that came of it
	RestoredAt time.Time
	ReportsAt  time.Time // when Stripe could be told again; zero: it waits
}

// LostRun is events of a node's log that a restored ledger does not have, and the log neither.
type LostRun struct {
	Ledger      uuid.UUID
	Node        uuid.UUID
	First, Last uint64 // sequences; Last < First: none
}

// Events returns how many they are.
func (r LostRun) Events() uint64 { return r.Last + 1 - r.First }

// NodeStored is how far the ledger has a node's log.
type NodeStored struct {
	Node   uuid.UUID
	Stored uint64
}

var (
	restores = ask("restores", bindNone, func(r *Restored) []any {
		return []any{&r.Ledger, &r.RestoredAt, &r.ReportsAt}
	})
	restoredNodes = ask("restored_nodes", bindNone, func(r *LostRun) []any {
		return []any{&r.Ledger, &r.Node, &r.First, &r.Last}
	})
	ledger = ask("ledger", bindNone, func(id *uuid.UUID) []any { return []any{id} })

	newestSequences = ask("newest_sequences", bindNone, func(n *NodeStored) []any {
		return []any{&n.Node, &n.Stored}
	}).with(VerifyParams{}.settings())
)

const (
	insertRestores      = "insert_restores"
	insertRestoredNodes = "insert_restored_nodes"
)

// Restores returns how often this database was restored, the first time first.
func (q *Queries) Restores(ctx context.Context) ([]Restored, error) {
	all, err := collect(ctx, q.conn, restores, none{})
	for i := range all {
		all[i].RestoredAt = all[i].RestoredAt.UTC()
		all[i].ReportsAt = fromEpoch(all[i].ReportsAt)
	}
	return all, err
}

// Ledger returns the id of this database's ledger: a restored one has another. It is zero where the
// database gives tables none.
func (q *Queries) Ledger(ctx context.Context) (uuid.UUID, error) {
	id, _, err := first(ctx, q.conn, ledger, none{})
	return id, err
}

// MarkRestored notes that the ledger was restored at a moment, unless that is noted.
func (q *Queries) MarkRestored(ctx context.Context, id uuid.UUID, now time.Time) error {
	all, err := q.Restores(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Ledger == id {
			return nil
		}
	}
	return q.sayRestored(ctx, Restored{Ledger: id, RestoredAt: now}, 1)
}

// LetReport lets Stripe be told again, as of a moment, whatever was restored.
func (q *Queries) LetReport(ctx context.Context, now time.Time) error {
	all, err := q.Restores(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if !r.ReportsAt.IsZero() {
			continue
		}
		r.ReportsAt = now
		if err := q.sayRestored(ctx, r, 2); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queries) sayRestored(ctx context.Context, r Restored, version uint64) error {
	return q.insertRow(ctx, insertRestores, clickhouse.Settings{"async_insert": 0}, []tableColumn{
		{Name: "ledger", Type: "UUID"},
		{Name: "restored_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "reports_at", Type: "DateTime64(6, 'UTC')"},
		{Name: "version", Type: "UInt64"},
	}, r.Ledger, r.RestoredAt.UTC(), orEpoch(r.ReportsAt), version)
}

// Lost returns the events of nodes' logs that were lost when the database was restored, by node.
func (q *Queries) Lost(ctx context.Context) ([]LostRun, error) {
	return collect(ctx, q.conn, restoredNodes, none{})
}

// SayLost notes which events of a node's log are lost. Said again it is the same.
func (q *Queries) SayLost(ctx context.Context, r LostRun, now time.Time) error {
	settings := clickhouse.Settings{"async_insert": 0}
	return q.insertRow(ctx, insertRestoredNodes, settings, []tableColumn{
		{Name: "ledger", Type: "UUID"},
		{Name: "node", Type: "UUID"},
		{Name: "first", Type: "UInt64"},
		{Name: "last", Type: "UInt64"},
		{Name: "said_at", Type: "DateTime64(6, 'UTC')"},
	}, r.Ledger, r.Node, r.First, r.Last, now.UTC())
}

// StoredSequences returns how far the ledger, with what went with retired months, has the log of
// each node, ordered by node. It reads a few columns of all of it.
func (q *Queries) StoredSequences(ctx context.Context) ([]NodeStored, error) {
	return collect(ctx, q.conn, newestSequences, none{})
}
