package corrections_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/corrections"
)

// told is what a node hears, one thing at a time. It is not the eldest of the nodes.
type told struct {
	doubled   chan []queries.NodeKey
	relearned atomic.Bool
	swept     atomic.Int64
}

func (h *told) Doubled() ([]queries.NodeKey, time.Time) {
	select {
	case all := <-h.doubled:
		return all, time.Time{}
	default:
		return nil, time.Time{}
	}
}

func (h *told) Relearned() bool { return h.relearned.Swap(false) }
func (h *told) Swept(time.Time) { h.swept.Add(1) }
func (h *told) Eldest() bool    { return false }

// sweeping starts a sweep whose clock stands still, so long ahead, until it is moved, and which waits
// for a function where it waits for what its node accepted.
func (n *node) sweeping(t *testing.T, ahead time.Duration, flush func()) (*told, *atomic.Int64) {
	t.Helper()
	h, clock := &told{doubled: make(chan []queries.NodeKey, 1)}, new(atomic.Int64)
	began := time.Now().Add(ahead)
	c := corrections.New(corrections.Config{
		Queries: n.queries, Logger: slog.New(slog.DiscardHandler), Doubled: h,
		Now:   func() time.Time { return began.Add(time.Duration(clock.Load())) },
		Flush: func(context.Context) error { flush(); return nil },
	})
	c.Start()
	t.Cleanup(c.Stop)
	return h, clock
}

// TestSweepWaitsForItsOwnCopy tells a node of a key that it accepted as well, before its own copy is
// in the ledger: swept at once there is one, and it was forgotten that there would be two.
func TestSweepWaitsForItsOwnCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.node(), w.node()
	e := keyed("key", 10)
	one.record(e)
	var once sync.Once // what cannot be swept at first is tried again
	both := make(chan struct{})
	h, _ := one.sweeping(t, 0, func() {
		once.Do(func() {
			two.record(e)
			close(both)
		})
	})
	h.doubled <- []queries.NodeKey{{Event: e.ID, Organization: acme}}
	select {
	case <-both:
	case <-time.After(time.Minute):
		t.Fatal("its own copy was not waited for")
	}
	w.eventually("one to be taken back", func() bool {
		return w.total("consumption_monthly") == "1 1 10 0.75"
	})
	if h.swept.Load() > 0 {
		t.Error("all was said to be swept before the first search")
	}
}

// TestSearchAfterKeysWereLost has a node accept an event anew while its keys are lost: it searches
// when they are known again, though it is not the eldest. Its clock is 60 days ahead from the start
// on: with what the clock says believed at once, the keys of all nodes were forgotten, and no search
// found anything. An organization whose journal is broken keeps the others from nothing: with the
// first failure returned at once, most of the copies stayed.
func TestSearchAfterKeysWereLost(t *testing.T) {
	t.Parallel()
	const organizations = 8
	w := newWorld(t)
	one, two := w.node(), w.node()
	h, clock := one.sweeping(t, 60*24*time.Hour, func() {})
	w.eventually("the first search", func() bool {
		clock.Add(int64(100 * time.Millisecond))
		return h.swept.Load() > 0
	})
	var all []schema.Event
	for i := range organizations {
		e := keyed("key", 10)
		e.Organization = named(fmt.Sprint("organization ", i))
		e.ID = schema.EventID(e.Organization, "key")
		all = append(all, e)
	}
	one.record(all...)
	two.record(all...)
	breakJournal(t, one, all[3].Organization)
	h.relearned.Store(true)
	want := fmt.Sprintf("%d %d %d %s", organizations+1, organizations+1, 10*(organizations+1),
		cost(organizations+1))
	w.eventually("all copies but the broken one's to be taken back", func() bool {
		return w.total("consumption_monthly") == want
	})
}

// breakJournal writes a correction of an organization without the ones before.
func breakJournal(t *testing.T, n *node, organization uuid.UUID) {
	t.Helper()
	err := n.queries.InsertCorrection(t.Context(), queries.Correction{
		Organization: organization, Number: 7, ID: uuid.New(), At: time.Now().UTC(),
		Actor: "test", Reason: "test", Events: 1,
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
}
