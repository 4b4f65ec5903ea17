package console_test

import (
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/console"
)

// clock is a clock that a test turns.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMicro(c.at.Load()).UTC() }

func (c *clock) turn(d time.Duration) { c.at.Add(int64(d / time.Microsecond)) }

// TestNodesShareKeys goes through the life of keys with several nodes on one table.
//
// Seen failing with the safeguards removed: with twice the keyAge in unretired, the first key was not
// replaced; without counts, a key's sessions never ended; without looks, the table was read for every
// guess, so that the key that was added behind the nodes' backs was found.
func TestNodesShareKeys(t *testing.T) {
	t.Parallel()
	db := schematest.New(t)
	q, err := queries.Open(t.Context(), queries.Config{Options: db.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	c := &clock{}
	c.at.Store(time.Now().UnixMicro())
	node := func() console.Keyring {
		return console.NewKeyring(console.Config{Queries: q, Now: c.now})
	}
	newest := func(k console.Keyring) uuid.UUID {
		t.Helper()
		id, err := k.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	knows := func(k console.Keyring, id uuid.UUID, want bool) {
		t.Helper()
		if got, err := k.Knows(t.Context(), id); err != nil || got != want {
			t.Errorf("a node knows a key: %v, %v, want %v", got, err, want)
		}
	}
	const nodes = 4
	all := make([]console.Keyring, nodes)
	made := make([]uuid.UUID, nodes)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = node()
		wg.Go(func() { made[i], _ = all[i].Newest(t.Context()) })
	}
	wg.Wait()
	first := newest(node())
	for i, k := range all { // whatever they began with counts everywhere
		knows(k, first, true)
		for _, id := range made {
			knows(k, id, true)
		}
		if made[i] == uuid.Nil {
			t.Fatal("a node has no key")
		}
	}
	fresh := []console.Keyring{node(), node()}
	if a, b := newest(fresh[0]), newest(fresh[1]); a != first || b != first {
		t.Errorf("two nodes seal with %s and %s, want %s", a, b, first)
	}

	// A client that makes keys up does not make a node read the table for each of them.
	guessed := node()
	for range console.LooksAtOnce {
		knows(guessed, uuid.New(), false)
	}
	hidden := schema.ConsoleKey{ID: uuid.New(), Secret: make([]byte, 32), CreatedAt: c.now()}
	if err := q.AddConsoleKey(t.Context(), hidden); err != nil {
		t.Fatal(err)
	}
	knows(guessed, hidden.ID, false)
	c.turn(console.LooksInterval)
	knows(guessed, hidden.ID, true)

	c.turn(console.KeyAge - console.LooksInterval - time.Minute)
	if id := newest(all[0]); id != first && !contains(made, id) {
		t.Errorf("a key was replaced before its time")
	}
	c.turn(2 * time.Minute)
	second := newest(all[0])
	if second == first || contains(made, second) || second == hidden.ID {
		t.Errorf("a key of %v seals new sessions", console.KeyAge)
	}
	if id := newest(all[1]); id != second {
		t.Errorf("two nodes seal with %s and %s", id, second)
	}
	knows(all[0], first, true)
	knows(all[1], first, true)
	c.turn(console.SessionMax)
	knows(all[0], first, false)
	knows(node(), first, false)
	knows(all[0], second, true)
}

func contains(all []uuid.UUID, id uuid.UUID) bool {
	for _, one := range all {
		if one == id {
			return true
		}
	}
	return false
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err) // of a constant: cannot be
	}
	return u
}
