package queries

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// Node is what a node last said of itself. All of it was true at SaidAt, by the database's clock.
type Node struct {
	ID      uuid.UUID // of its log
	SaidAt  time.Time
	Stored  uint64    // sequence up to which the ledger and every rollup have its log
	Pending uint64    // events of its log that are not stored
	SweptAt time.Time // what the others had said to be stored by then holds no duplicate of its own
	Hold    uuid.UUID // that it keeps: it inserts nothing; zero: none
	Stopped bool      // it ended in order and has nothing half done
}

// nodeSilence is how long a node that lives may say nothing: it speaks every ten seconds at least.
const nodeSilence = 15 * time.Second

// Live reports whether the node runs, as far as the others can know at a moment.
func (n Node) Live(now time.Time) bool { return !n.Stopped && now.Sub(n.SaidAt) < nodeSilence }

var nodes = ask("nodes", bindNone, func(n *Node) []any {
	return []any{&n.ID, &n.SaidAt, &n.Stored, &n.Pending, &n.SweptAt, &n.Hold, &n.Stopped}
})

// Nodes returns what every node there ever was last said of itself, ordered by id.
func (q *Queries) Nodes(ctx context.Context) ([]Node, error) {
	return collect(ctx, q.conn, nodes, none{})
}

// Standing is what a node hears of the others in one moment.
type Standing struct {
	Now   time.Time // by the database's clock
	Hold  Hold      // that is active; zero: none
	Nodes []Node
}

// Standing returns how things stand with nodes and holds.
func (q *Queries) Standing(ctx context.Context) (s Standing, err error) {
	if s.Now, s.Hold, err = q.Hold(ctx); err != nil {
		return Standing{}, err
	}
	s.Nodes, err = q.Nodes(ctx)
	return s, err
}

const insertNodes = "insert_nodes"

// SayNode writes what a node says of itself. What it said later stays.
func (q *Queries) SayNode(ctx context.Context, n Node) error {
	return q.insertRow(ctx, insertNodes, clickhouse.Settings{"async_insert": 0},
		[]clickhouse.ColumnNameAndType{
			{Name: "node", Type: "UUID"},
			{Name: "said_at", Type: "DateTime64(6, 'UTC')"},
			{Name: "stored", Type: "UInt64"},
			{Name: "pending", Type: "UInt64"},
			{Name: "swept_at", Type: "DateTime64(6, 'UTC')"},
			{Name: "hold", Type: "UUID"},
			{Name: "stopped", Type: "Bool"},
		}, n.ID, storable(n.SaidAt), n.Stored, n.Pending, storable(n.SweptAt), n.Hold, n.Stopped)
}

// ForgetNode says in a node's stead that it ended and has nothing half done: for one that will
// never run again. One that does run says otherwise a moment later.
func (q *Queries) ForgetNode(ctx context.Context, node uuid.UUID) error {
	now, _, err := q.Hold(ctx)
	if err != nil {
		return err
	}
	all, err := q.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range all {
		if n.ID == node {
			n.SaidAt, n.Hold, n.Stopped = now, uuid.Nil, true
			return q.SayNode(ctx, n)
		}
	}
	return fmt.Errorf("node %s is unknown", node)
}

// NodeKeysParams asks for the keys with a sequence in (After, To].
type NodeKeysParams struct {
	Node  uuid.UUID
	After uint64
	To    uint64
	Limit uint64
}

// NodeKey is an event with a key that a node accepted.
type NodeKey struct {
	Sequence     uint64
	Event        uuid.UUID
	Organization uuid.UUID
	IngestTime   time.Time
}

var nodeKeys = ask("node_keys", func(p NodeKeysParams) []any {
	return []any{
		id("node", p.Node), number("after", p.After), number("to", p.To), number("limit", p.Limit),
	}
}, func(k *NodeKey) []any {
	return []any{&k.Sequence, &k.Event, &k.Organization, &k.IngestTime}
})

// NodeKeys returns the first keys of a range, ordered by sequence.
func (q *Queries) NodeKeys(ctx context.Context, p NodeKeysParams) ([]NodeKey, error) {
	return collect(ctx, q.conn, nodeKeys, p)
}
