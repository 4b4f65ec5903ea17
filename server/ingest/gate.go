package ingest

import (
	"context"
	"sync"
)

// Gate stands before the ledger. Whoever inserts enters it before the first try and leaves it when
// the insert and every rollup behind it are whole; whoever recomputes a rollup closes it, and finds
// no insert half done. The zero Gate is open.
type Gate struct {
	mu      sync.Mutex
	closed  bool
	inside  int
	changed chan struct{} // closed and replaced when one of the above moves
}

// Enter waits until the gate is open. The error is ctx's.
func (g *Gate) Enter(ctx context.Context) error {
	return g.wait(ctx, func() bool {
		if g.closed {
			return false
		}
		g.inside++
		return true
	})
}

// Leave ends what Enter began.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.moved()
}

// Close lets nobody in from now on and returns when nobody is inside. On ctx's error the gate is
// open as before. It is for one goroutine.
func (g *Gate) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	err := g.wait(ctx, func() bool { return g.inside == 0 })
	if err != nil {
		g.Open()
	}
	return err
}

// Shut lets nobody in from now on and reports whether nobody is inside: Close without the waiting.
func (g *Gate) Shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.inside == 0
}

// Open ends what Close or Shut began.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	g.moved()
}

func (g *Gate) moved() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// wait returns when ready, which is called with mu held, says so.
func (g *Gate) wait(ctx context.Context, ready func() bool) error {
	for {
		g.mu.Lock()
		if ready() {
			g.mu.Unlock()
			return nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
