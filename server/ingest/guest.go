package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// Guest is the Gate of a process that inserts into the ledger and is no node: a command. While it is
// inside it stands among the nodes under an id of its own, so that a hold waits for it; it says so
// before it looks whether a hold is active, so that of a hold and a guest that come at once one sees
// the other. Its zero Reach is not of use.
type Guest struct {
	Reach interface {
		Hold(ctx context.Context) (now time.Time, active queries.Hold, err error)
		SayNode(ctx context.Context, n queries.Node) error
	}

	mu   sync.Mutex
	id   uuid.UUID
	said time.Time
}

// holdLook is how often a guest looks whether a hold is over.
const holdLook = 500 * time.Millisecond

// Enter waits until no hold is active. The error is ctx's or the database's.
func (g *Guest) Enter(ctx context.Context) error {
	for {
		if err := g.say(ctx, false); err != nil {
			return err
		}
		_, active, err := g.Reach.Hold(ctx)
		if err == nil && active.ID == uuid.Nil {
			return nil
		}
		if leaving := g.say(ctx, true); err == nil {
			err = leaving
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(holdLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Leave ends what Enter began. Where that cannot be said, holds wait for nodeSilence and then name
// the guest, as one that may have left something half done.
func (g *Guest) Leave() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWordsMax)
	defer cancel()
	_ = g.say(ctx, true)
}

func (g *Guest) say(ctx context.Context, stopped bool) error {
	now, _, err := g.Reach.Hold(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.id == uuid.Nil {
		g.id = uuid.New()
	}
	if !now.After(g.said) {
		now = g.said.Add(time.Microsecond)
	}
	g.said = now
	return g.Reach.SayNode(ctx, queries.Node{ID: g.id, SaidAt: now, Stopped: stopped})
}
