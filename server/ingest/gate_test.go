package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestGateKeepsHalvesTogether: it closes only when nobody is inside, lets nobody in while it is
// closed, and is open again when it could not be closed.
func TestGateKeepsHalvesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		briefly, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Close(briefly); err == nil {
			t.Fatal("closed while somebody was inside")
		}
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- g.Close(t.Context()) }()
		synctest.Wait()
		entered := make(chan error)
		go func() { entered <- g.Enter(t.Context()) }()
		synctest.Wait()
		g.Leave()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("closed while somebody was inside")
		case <-entered:
			t.Fatal("somebody entered a gate that was closing")
		default:
		}
		g.Leave()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-entered:
			t.Fatal("somebody entered a closed gate")
		default:
		}
		g.Open()
		if err := <-entered; err != nil {
			t.Fatal(err)
		}
		g.Leave()
	})
}
