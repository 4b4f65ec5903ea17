package queries

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
)

// DoubledEventsMax bounds the events of one DoubledEvents: their ids travel in an address.
const DoubledEventsMax = 5_000

// DoubledEvent is an event that was accepted more than once.
type DoubledEvent struct {
	Organization uuid.UUID
	Event        uuid.UUID
	Times        []time.Time // of each copy, when it happened
}

// scanSettings bound a question that reads a column of every key there is.
var scanSettings = clickhouse.Settings{"max_execution_time": 600}

var doubledEvents = ask("doubled_events", func(events []uuid.UUID) []any {
	return []any{ids("events", events)}
}, func(d *DoubledEvent) []any {
	return []any{&d.Organization, &d.Event, &d.Times}
}).with(scanSettings)

// DoubledEvents returns those of some events, at most DoubledEventsMax, that were accepted more
// than once in the weeks of which keys are kept, whether that was mended or not.
func (q *Queries) DoubledEvents(
	ctx context.Context, events []uuid.UUID,
) ([]DoubledEvent, error) {
	return collect(ctx, q.conn, doubledEvents, events)
}

// keysOfSlice is how many keys DoubledKeys looks at in one question: some 200 MB of memory there.
const keysOfSlice = 2_000_000

var keysKept = ask("keys_kept", bindNone, func(n *uint64) []any { return []any{n} })

type slice struct{ slice, slices uint64 }

var doubledKeys = ask("doubled_keys", func(s slice) []any {
	return []any{number("slice", s.slice), number("slices", s.slices)}
}, func(k *NodeKey) []any {
	return []any{&k.Organization, &k.Event}
}).with(scanSettings)

// DoubledKeys looks at every key that is kept, and hands the events that were accepted more than
// once to each, some at a time, whether that was mended or not. It asks once for every two million
// keys; each may take its time in between. The error is its own or that of each.
func (q *Queries) DoubledKeys(
	ctx context.Context, each func(events []NodeKey, took time.Duration) error,
) error {
	kept, _, err := first(ctx, q.conn, keysKept, none{})
	if err != nil {
		return err
	}
	slices := kept/keysOfSlice + 1
	for i := range slices {
		began := time.Now()
		found, err := collect(ctx, q.conn, doubledKeys, slice{i, slices})
		if err != nil {
			return err
		}
		if err := each(found, time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// DoubledParams asks about events of one organization that happened at these times.
type DoubledParams struct {
	Organization uuid.UUID
	Events       []uuid.UUID
	Times        []time.Time
	Window       time.Duration // for which a key is known; what comes later is another event
}

var doubledEntries = ask("doubled_entries", func(p DoubledParams) []any {
	return []any{
		id("organization", p.Organization), ids("events", p.Events), moments("times", p.Times),
	}
}, intoEntry)

// ExtraCopies returns the copies that are to be taken back of each event that counts more than once
// or counts although it was voided, the ledger's entries being as they are.
func (q *Queries) ExtraCopies(ctx context.Context, p DoubledParams) ([]Copy, error) {
	var all []Copy
	var one ledgerEvent
	err := stream(ctx, q.conn, doubledEntries, p, func(r entryRow) error {
		r.event.Organization = p.Organization
		if one.id != r.event.ID {
			all = append(all, one.extra(p.Window)...)
			one = ledgerEvent{id: r.event.ID}
		}
		one.add(r)
		return nil
	})
	return append(all, one.extra(p.Window)...), err
}
