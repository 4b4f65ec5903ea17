package corrections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// peer is a node that hears of others, in a folder it can be started on again. Its database can be
// taken away.
type peer struct {
	*node
	dir  string
	down atomic.Bool
}

func (w *world) peer(dir string) *peer {
	w.t.Helper()
	p := &peer{node: &node{w: w}, dir: dir}
	options := *w.db.Options
	options.DialContext = func(ctx context.Context, address string) (net.Conn, error) {
		if p.down.Load() {
			return nil, errors.New("the database is down")
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		return &downConn{conn, &p.down}, err
	}
	var err error
	if p.queries, err = queries.Open(w.t.Context(), queries.Config{Options: &options}); err != nil {
		w.t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	if p.ingest, err = ingest.Open(ingest.Config{
		Dir: dir, Store: p.queries, Peers: p.queries, Snapshot: w.snapshot, Now: time.Now,
		Logger: logger, BatchAge: 5 * time.Millisecond,
	}); err != nil {
		w.t.Fatal(err)
	}
	p.ingest.Start()
	p.Corrector = corrections.New(corrections.Config{
		Queries: p.queries, Snapshot: w.snapshot, Flush: p.ingest.Flush, Now: time.Now,
		Logger: logger, Gate: p.ingest.Gate(), Doubled: p.ingest,
	})
	p.Start()
	w.t.Cleanup(p.end)
	return p
}

type downConn struct {
	net.Conn
	down *atomic.Bool
}

func (c *downConn) Write(b []byte) (int, error) {
	if c.down.Load() {
		_ = c.Close()
		return 0, errors.New("the database is down")
	}
	return c.Conn.Write(b)
}

// end stops the node as serve does. A second time does nothing.
func (p *peer) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if p.Corrector == nil {
		return
	}
	p.Stop()
	p.Corrector = nil
	if err := errors.Join(p.ingest.Stop(ctx), p.queries.Close()); err != nil {
		p.w.t.Errorf("stop: %v", err)
	}
}

// again starts the node once more on its folder.
func (p *peer) again() *peer { p.end(); return p.w.peer(p.dir) }

// send records keys of one unit each, and returns how many were accepted and known.
func (p *peer) send(prefix string, n int) dialect.Receipt {
	p.w.t.Helper()
	var all []schema.Event
	for i := range n {
		e := keyed(fmt.Sprint(prefix, i), 1)
		e.Time = time.Time{} // now
		all = append(all, e)
	}
	receipt, err := p.ingest.Record(p.w.t.Context(), all, true)
	if err != nil || len(receipt.Rejected) > 0 {
		p.w.t.Fatalf("record: %+v, %v", receipt, err)
	}
	return receipt
}

// stored waits until the ledger has what the node accepted.
func (p *peer) stored() {
	p.w.t.Helper()
	if err := p.ingest.Flush(p.w.t.Context()); err != nil {
		p.w.t.Fatal(err)
	}
}

// said returns what a node last said of itself.
func (w *world) said(p *peer, id uuid.UUID) (said queries.Node) {
	w.t.Helper()
	all, err := p.queries.Nodes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range all {
		if n.ID == id {
			said = n
		}
	}
	return said
}

// knows waits until the nodes know what was stored before: until what they say is swept is younger.
func (w *world) knows(peers ...*peer) {
	w.t.Helper()
	now, _, err := peers[0].queries.Hold(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the nodes to hear of each other", func() bool {
		for _, p := range peers {
			if !w.said(p, p.ingest.Node()).SweptAt.After(now) {
				return false
			}
		}
		return true
	})
}

func (w *world) counts(p *peer, events int64) {
	w.t.Helper()
	w.check(p.node, fmt.Sprintf("%d %d %d %s", events, events, events, cost(events)))
}

// TestNodesCountAKeyOnce sends the same keys to three nodes, one after the other and at once, to a
// node that was started again, to one that lost what it knew and to one that is new. Without
// learning, what is sent again after a while is accepted again; without the sweep, what is sent at
// once counts as often as it was accepted.
func TestNodesCountAKeyOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	peers := []*peer{w.peer(t.TempDir()), w.peer(t.TempDir()), w.peer(t.TempDir())}
	a, b, c := peers[0], peers[1], peers[2]

	if r := a.send("first ", 100); r.Accepted != 100 {
		t.Fatalf("receipt %+v", r)
	}
	a.stored()
	w.knows(peers...)
	for _, p := range []*peer{b, c} {
		if r := p.send("first ", 100); r.Duplicates != 100 {
			t.Errorf("sent to another node after a while: %+v, want 100 duplicates", r)
		}
	}

	var group sync.WaitGroup
	for _, p := range peers {
		group.Go(func() { p.send("at once ", 300) })
	}
	group.Wait()
	for _, p := range peers {
		p.stored()
	}
	w.knows(peers...)
	w.counts(a, 400)

	// A node that comes back knows what the others accepted meanwhile before it accepts anything.
	b.end()
	a.send("meanwhile ", 50)
	a.stored()
	w.eventually("the node to say so", func() bool {
		_, stored := w.ledger(a)
		return w.said(c, a.ingest.Node()).Stored == stored
	})
	b = b.again()
	if r := b.send("meanwhile ", 50); r.Duplicates != 50 {
		t.Errorf("sent to a node that came back: %+v, want 50 duplicates", r)
	}

	// So does one whose keys are gone, its own among them, and one that is new.
	b.send("of b ", 20)
	b.stored()
	w.knows(a, b, c)
	b.end()
	if err := os.RemoveAll(filepath.Join(b.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	b = w.peer(b.dir)
	for _, p := range []*peer{b, w.peer(t.TempDir())} {
		for prefix, n := range map[string]int{
			"first ": 100, "at once ": 300, "meanwhile ": 50, "of b ": 20,
		} {
			if r := p.send(prefix, n); r.Duplicates != n {
				t.Errorf("%sto a node without keys: %+v, want %d duplicates", prefix, r, n)
			}
		}
	}
	w.counts(c, 470)
}

// ledger returns the first and last sequence that the ledger has of a node's log.
func (w *world) ledger(p *peer) (first, last uint64) {
	w.t.Helper()
	rows := w.db.Strings(fmt.Sprintf(
		"SELECT toString(min(sequence)), toString(max(sequence)) FROM usage_events WHERE node = '%s'",
		p.ingest.Node()))
	if _, err := fmt.Sscan(rows[0], &first, &last); err != nil {
		w.t.Fatal(err)
	}
	return first, last
}

// TestNodesOutliveTheirDatabase takes the database away from two nodes that are sent the same keys,
// and gives it back.
func TestNodesOutliveTheirDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.peer(t.TempDir()), w.peer(t.TempDir())
	for _, p := range []*peer{a, b} {
		p.down.Store(true)
		if r := p.send("in the dark ", 200); r.Accepted != 200 {
			t.Errorf("receipt %+v, want all accepted", r)
		}
	}
	time.Sleep(1500 * time.Millisecond) // a beat fails
	for _, p := range []*peer{a, b} {
		p.down.Store(false)
	}
	for _, p := range []*peer{a, b} {
		p.stored()
	}
	w.knows(a, b)
	w.counts(a, 200)
	// A node that died long ago keeps nobody from being swept.
	if err := a.queries.SayNode(t.Context(), queries.Node{
		ID: named("dead"), SaidAt: time.Now().Add(-time.Hour), Stored: 5,
	}); err != nil {
		t.Fatal(err)
	}
	w.knows(a, b)
}

// TestHoldStopsInsertsAndNoWrites has two nodes keep a hold until it is released, and another until
// it ends by itself. With the gate left open what is accepted meanwhile is in the ledger.
func TestHoldStopsInsertsAndNoWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.peer(t.TempDir()), w.peer(t.TempDir())
	accepted := int64(0)
	accept := func() {
		for _, p := range []*peer{a, b} {
			if r := p.send(fmt.Sprint(accepted, " "), 10); r.Accepted != 10 {
				t.Errorf("receipt %+v, want all accepted", r)
			}
			accepted += 10
		}
	}
	count := func() string { return w.db.Strings("SELECT toString(count()) FROM usage_events")[0] }
	place := func(lasts time.Duration) queries.Hold {
		t.Helper()
		hold, err := a.queries.PlaceHold(t.Context(), queries.Hold{Reason: "test"}, lasts)
		if err == nil {
			err = b.queries.AwaitHold(t.Context(), hold)
		}
		if err != nil {
			t.Fatal(err)
		}
		return hold
	}
	for _, released := range []bool{true, false} {
		lasts := 2500 * time.Millisecond
		if released {
			lasts = time.Minute
		}
		hold := place(lasts)
		before := count()
		accept()
		if _, err := a.Correct(briefly(t), addUnits(keyed("0 0", 1), 1)); err == nil {
			t.Error("a correction was applied while a hold lasts")
		}
		if after := count(); after != before {
			t.Errorf("%s rows became %s while a hold lasts", before, after)
		}
		if released {
			if err := a.queries.ReleaseHold(t.Context(), hold); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []*peer{a, b} {
			p.stored()
		}
		if released {
			if _, err := a.Correct(t.Context(), void(keyed("0 0", 1))); err != nil {
				t.Error(err)
			}
			accepted--
		}
	}
	w.eventually("the nodes to say that they insert", func() bool {
		return w.said(a, a.ingest.Node()).Hold == uuid.Nil &&
			w.said(a, b.ingest.Node()).Hold == uuid.Nil
	})
	w.eventually("corrections to be applied", func() bool { return !w.open() })
	w.counts(a, accepted)
}
