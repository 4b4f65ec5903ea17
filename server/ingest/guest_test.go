package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

func (m *meeting) Hold(ctx context.Context) (time.Time, queries.Hold, error) {
	s, err := m.Standing(ctx)
	return s.Now, s.Hold, err
}

// TestGuestsKeepHolds has a command come while a hold is active: it is not among the nodes until the
// hold is over, and is while it inserts. Had it looked first and said so then, a hold placed in
// between would not know of it.
func TestGuestsKeepHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeeting()
		hold := queries.Hold{ID: uuid.Must(uuid.NewV7()), Until: m.now().Add(10 * time.Second)}
		m.set(func() { m.hold = hold })
		g := Guest{Reach: m}
		inside := func() (n int) {
			now := m.now()
			m.set(func() {
				for _, node := range m.nodes {
					if node.Live(now) {
						n++
					}
				}
			})
			return n
		}
		began := time.Now()
		go func() {
			time.Sleep(5*time.Second + holdLook/2)
			if inside() != 0 {
				t.Error("a guest that waits stands among the nodes")
			}
		}()
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) < 10*time.Second || inside() != 1 {
			t.Errorf("inside after %s, %d among the nodes", time.Since(began), inside())
		}
		if first := m.words[0]; first.Stopped {
			t.Error("the guest looked before it said that it is there")
		}
		g.Leave()
		if inside() != 0 || len(m.nodes) != 1 {
			t.Errorf("nodes %+v after the guest left", m.nodes)
		}
		m.set(func() { m.down = true })
		if err := g.Enter(t.Context()); err == nil {
			t.Error("a guest entered that nobody can hear")
		}
	})
}
