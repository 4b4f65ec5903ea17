package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// meeting is a Peers whose clock is ahead of the nodes'. A test says what others said.
type meeting struct {
	mu    sync.Mutex
	ahead time.Duration
	down  bool
	mute  bool // nothing can be said, all can be heard
	hold  queries.Hold
	nodes map[uuid.UUID]queries.Node
	keys  map[uuid.UUID][]queries.NodeKey
	words []queries.Node
	pages int
}

func newMeeting() *meeting {
	return &meeting{
		ahead: time.Hour, nodes: make(map[uuid.UUID]queries.Node),
		keys: make(map[uuid.UUID][]queries.NodeKey),
	}
}

var errDown = errors.New("the database is down")

func (m *meeting) now() time.Time { return time.Now().Add(m.ahead) }

func (m *meeting) Standing(context.Context) (queries.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return queries.Standing{}, errDown
	}
	s := queries.Standing{Now: m.now()}
	if m.hold.Until.After(s.Now) {
		s.Hold = m.hold
	}
	for _, n := range m.nodes {
		s.Nodes = append(s.Nodes, n)
	}
	return s, nil
}

func (m *meeting) SayNode(_ context.Context, n queries.Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.mute {
		return errDown
	}
	if n.SaidAt.After(m.nodes[n.ID].SaidAt) {
		m.nodes[n.ID] = n
	}
	m.words = append(m.words, n)
	return nil
}

func (m *meeting) NodeKeys(
	_ context.Context, p queries.NodeKeysParams,
) (page []queries.NodeKey, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	for _, k := range m.keys[p.Node] {
		if k.Sequence > p.After && k.Sequence <= p.To && uint64(len(page)) < p.Limit {
			page = append(page, k)
		}
	}
	return page, nil
}

// set changes what a test says under the lock.
func (m *meeting) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// accepts has a node say that it stored keys, that many and one a minute up to now.
func (m *meeting) accepts(node uuid.UUID, prefix string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.keys[node]
	for i := range n {
		all = append(all, queries.NodeKey{
			Sequence: uint64(len(all) + 1), Organization: organization,
			Event:      schema.EventID(organization, fmt.Sprint(prefix, i)),
			IngestTime: time.Now().Add(-time.Duration(n-i) * time.Minute),
		})
	}
	m.keys[node] = all
	m.nodes[node] = queries.Node{ID: node, SaidAt: m.now(), Stored: uint64(len(all))}
}

func (m *meeting) last(node uuid.UUID) queries.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes[node]
}

func peerConfig(dir string, store Store, m *meeting) Config {
	c := testConfig(dir, store)
	c.Peers = m
	return c
}

// duplicates returns how many of some keys are known.
func duplicates(t *testing.T, in *Ingest, prefix string, from, to int) int {
	t.Helper()
	var all []schema.Event
	for i := from; i < to; i++ {
		all = append(all, event(fmt.Sprint(prefix, i)))
	}
	r, err := in.Record(context.Background(), all, false)
	if err != nil {
		t.Fatal(err)
	}
	return r.Duplicates
}

var other = uuid.MustParse("ffffffff-0000-4000-8000-000000000000")

// TestGateOpensAfterTheFirstWord starts a node that nobody can hear: what it accepts is durable and
// not inserted. With the gate open from the start a rebuild would not know of the node.
func TestGateOpensAfterTheFirstWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := &tap{}, newMeeting()
		m.mute = true
		in := mustOpen(t, peerConfig(t.TempDir(), store, m))
		in.Start()
		record(t, in, event("a"))
		time.Sleep(20 * time.Second)
		if tokens, _ := store.stored(); len(tokens) > 0 {
			t.Errorf("batches %v were inserted before anybody could know", tokens)
		}
		m.set(func() { m.mute = false })
		time.Sleep(2 * time.Second)
		if _, rows := store.stored(); rows != 1 {
			t.Errorf("%d rows were inserted, want 1", rows)
		}
		stop(t, in)
		if said := m.last(in.Node()); !said.Stopped || said.Stored != 1 || said.Pending != 0 {
			t.Errorf("last words %+v", said)
		}
	})
}

// TestLastWordsTellWhatIsHalfDone stops a node in the middle of an insert.
func TestLastWordsTellWhatIsHalfDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tap{before: func(int, string) error { return errDown }}
		m := newMeeting()
		in := mustOpen(t, peerConfig(t.TempDir(), store, m))
		in.Start()
		record(t, in, event("a"))
		time.Sleep(time.Second)
		stop(t, in)
		if said := m.last(in.Node()); said.Stopped || said.Pending != 1 {
			t.Errorf("last words %+v, want something half done", said)
		}
	})
}

// TestSilenceIsBounded counts a node's words: a few when it is alone, one a second when others
// listen and it moves, and never so few that it would be taken for dead.
func TestSilenceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeeting()
		in := mustOpen(t, peerConfig(t.TempDir(), &tap{}, m))
		in.Start()
		words := func(d time.Duration) int {
			before := len(m.words)
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(time.Second)
				record(t, in, event(""))
			}
			return len(m.words) - before
		}
		if n := words(time.Minute); n < 5 || n > 7 {
			t.Errorf("%d words in a minute alone, want about 6", n)
		}
		m.set(func() {
			m.nodes[other] = queries.Node{ID: other, SaidAt: m.now().Add(time.Hour)}
		})
		if n := words(time.Minute); n < 55 || n > 61 {
			t.Errorf("%d words in a minute with others, want about 60", n)
		}
		if !slices.IsSortedFunc(m.words, func(a, b queries.Node) int {
			return a.SaidAt.Compare(b.SaidAt)
		}) {
			t.Error("a later word looks like an earlier one")
		}
		if lag := m.now().Sub(m.words[len(m.words)-1].SaidAt); lag < 0 || lag > 2*time.Second {
			t.Errorf("by the database's clock the last word is %s old", lag)
		}
		stop(t, in)
	})
}

// TestHoldEndsWithoutTheDatabase has a hold renewed, and then nobody to ask.
func TestHoldEndsWithoutTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m := &tap{}, newMeeting()
		in := mustOpen(t, peerConfig(t.TempDir(), store, m))
		in.Start()
		hold := queries.Hold{ID: uuid.Must(uuid.NewV7())}
		until := func(d time.Duration) {
			m.set(func() { hold.Until = m.now().Add(d); m.hold = hold })
		}
		until(10 * time.Second)
		time.Sleep(2 * time.Second)
		if said := m.last(in.Node()); said.Hold != hold.ID {
			t.Errorf("the node says %+v, want that it keeps the hold", said)
		}
		record(t, in, event("a"))
		until(30 * time.Second)
		time.Sleep(2 * time.Second)
		m.set(func() { m.down = true })
		time.Sleep(20 * time.Second)
		if tokens, _ := store.stored(); len(tokens) > 0 {
			t.Errorf("batches %v were inserted while a hold lasts", tokens)
		}
		time.Sleep(10 * time.Second)
		if _, rows := store.stored(); rows != 1 {
			t.Errorf("%d rows were inserted after the hold, want 1", rows)
		}
		stop(t, in)
	})
}

// TestHoldWaitsForInserts says that a hold is kept when the insert under way has ended, not before.
func TestHoldWaitsForInserts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		store := &tap{before: func(int, string) error { <-end; return nil }}
		m := newMeeting()
		in := mustOpen(t, peerConfig(t.TempDir(), store, m))
		in.Start()
		record(t, in, event("a"))
		time.Sleep(time.Second)
		hold := queries.Hold{ID: uuid.Must(uuid.NewV7()), Until: m.now().Add(time.Hour)}
		m.set(func() { m.hold = hold })
		time.Sleep(5 * time.Second)
		if said := m.last(in.Node()); said.Hold != uuid.Nil {
			t.Error("a hold is said to be kept with an insert under way")
		}
		close(end)
		time.Sleep(2 * shutInterval)
		if said := m.last(in.Node()); said.Hold != hold.ID {
			t.Errorf("the node says %+v, want that it keeps the hold", said)
		}
		m.set(func() { m.hold = queries.Hold{} })
		stop(t, in)
	})
}

// TestKeysAreLearnedBeforeTheStart starts a node beside one that accepted more than a page of keys
// in more than the window, and then some. With what is learned at once kept for as long as its newest
// of the same day, the oldest were known for up to a day too long.
func TestKeysAreLearnedBeforeTheStart(t *testing.T) {
	const n = keysPageMax + 5_000 // minutes: 38 days
	m := newMeeting()
	m.accepts(other, "k", n)
	c, ahead := peerConfig(t.TempDir(), &tap{}, m), new(atomic.Int64)
	c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	in := mustOpen(t, c)
	in.Start()
	defer stop(t, in)
	if m.pages != 2 {
		t.Errorf("%d pages were asked for, want 2", m.pages)
	}
	window := int(in.cfg.Window / time.Minute)
	if got := duplicates(t, in, "k", n-1000, n); got != 1000 {
		t.Errorf("%d of the newest 1000 keys are known", got)
	}
	if got := duplicates(t, in, "k", n-window+100, n-window+1100); got != 1000 {
		t.Errorf("%d of the oldest 1000 keys in the window are known", got)
	}
	if got := duplicates(t, in, "k", 0, n-window-2); got != 0 {
		t.Errorf("%d keys of before the window are known", got)
	}
	// Those that both accepted are candidates for the sweep.
	m.accepts(other, "both", 10)
	if got := duplicates(t, in, "both", 3, 7); got != 0 {
		t.Errorf("%d keys are known already", got)
	}
	var found []queries.NodeKey
	var asOf time.Time
	for end := time.Now().Add(10 * time.Second); len(found) < 4 && time.Now().Before(end); {
		more, at := in.Doubled()
		found, asOf = append(found, more...), at
		time.Sleep(10 * time.Millisecond)
	}
	if len(found) != 4 || found[0].Event != schema.EventID(organization, "both3") {
		t.Errorf("candidates %+v, want four", found)
	}
	if in.Swept(asOf); in.peers.sweptLag() > 15 {
		t.Errorf("swept as of %s", asOf)
	}
	if !in.Eldest() || in.peers.others() != 1 {
		t.Error("the node is not the eldest of two")
	}
	ahead.Store(int64(time.Hour))
	if got := duplicates(t, in, "k", n-window+1, n-window+51); got != 0 {
		t.Errorf("%d of the oldest 50 keys are known an hour later", got)
	}
}

// TestLostKeysAreLearnedAgain takes the files of keys away, or their folder: what this node accepted
// itself comes back as well, from the ledger's record of it. With LogFirst left out of the store's
// configuration a folder that is gone is that of a new node, and none of its own 300 keys are known.
func TestLostKeysAreLearnedAgain(t *testing.T) {
	f := func(name string, damage func(folder string) error) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMeeting()
			m.accepts(other, "theirs", 100)
			c := peerConfig(t.TempDir(), &tap{}, m)
			in := mustOpen(t, c)
			in.Start()
			for i := range 5 {
				record(t, in, event(fmt.Sprint("in the log ", i)))
			}
			flush(t, in)
			in.keys.Save()
			waitFor(t, func() bool { return in.keys.Durable() == 5 })
			record(t, in, event("the last"))
			flush(t, in)
			stop(t, in)
			m.accepts(in.Node(), "ours", 300) // as the ledger has them: the log was truncated since
			if err := damage(filepath.Join(c.Dir, "keys")); err != nil {
				t.Fatal(err)
			}
			in = mustOpen(t, c)
			in.Start()
			defer stop(t, in)
			if got := duplicates(t, in, "ours", 0, 300); got != 300 {
				t.Errorf("%d of this node's 300 keys are known", got)
			}
			if got := duplicates(t, in, "theirs", 0, 100); got != 100 {
				t.Errorf("%d of the other node's 100 keys are known", got)
			}
			if !in.Relearned() || in.Relearned() {
				t.Error("that keys were lost is not told once")
			}
		})
	}
	f("files cut", func(folder string) error {
		runs, err := filepath.Glob(filepath.Join(folder, "run*"))
		if err != nil || len(runs) == 0 {
			return errors.New("no files of keys are there to be damaged")
		}
		for _, run := range runs {
			err = errors.Join(err, os.Truncate(run, 10))
		}
		return err
	})
	f("folder gone", os.RemoveAll)
}

// TestWhatADeadNodeStoredIsLearned has a node store keys, die before it says so, and come back with a
// batch between them. Until what it stored is looked at, nothing is said to be swept: billing waits.
// With learnUnsaid left out its unsaid keys were accepted, and nobody was told; with what it learns
// counted as learned, those that came in between were.
func TestWhatADeadNodeStoredIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeeting()
		m.accepts(other, "k", 10)
		var late []queries.NodeKey
		m.set(func() {
			n := m.nodes[other]
			n.Stored = 4
			m.nodes[other] = n
			late = m.keys[other][4:6:6]
			m.keys[other] = slices.Concat(m.keys[other][:4], m.keys[other][6:])
		})
		died := m.now()
		in := mustOpen(t, peerConfig(t.TempDir(), &tap{}, m))
		in.Start()
		f := func(from, to, want int) {
			t.Helper()
			if got := duplicates(t, in, "k", from, to); got != want {
				t.Errorf("%d of the keys %d to %d are known, want %d", got, from, to, want)
			}
		}
		f(0, 4, 4)
		f(6, 8, 0)
		time.Sleep(time.Minute)
		if found, asOf := in.Doubled(); len(found) > 0 || asOf.After(died) {
			t.Errorf("before it was looked at %d are doubled as of %s after", len(found), asOf.Sub(died))
		}
		time.Sleep(time.Minute)
		found, asOf := in.Doubled()
		if len(found) != 2 || m.now().Sub(asOf) > 2*beatInterval {
			t.Errorf("%d are doubled as of %s ago, want two now", len(found), m.now().Sub(asOf))
		}
		f(6, 10, 4)
		pages := m.pages
		time.Sleep(time.Minute)
		if m.pages != pages {
			t.Errorf("a node that stays dead was looked at %d times more", m.pages-pages)
		}
		m.set(func() { m.keys[other] = slices.Insert(m.keys[other], 4, late...) })
		m.accepts(other, "more", 1)
		time.Sleep(2 * beatInterval)
		f(0, 10, 10)
		stop(t, in)
	})
}

// TestPendingIsNotSaidToBeStored restarts a node whose log holds what ClickHouse does not have. Others
// learn the keys of what is said to be stored from the ledger, once: what it lacks at that moment they
// would never know. Where a node began by saying that all of its log is stored, it said 3.
func TestPendingIsNotSaidToBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, m, dir := &tap{}, newMeeting(), t.TempDir()
		m.set(func() { // somebody listens
			m.nodes[other] = queries.Node{ID: other, SaidAt: m.now().Add(time.Hour)}
		})
		in := mustOpen(t, peerConfig(dir, store, m))
		in.Start()
		record(t, in, event("stored"))
		flush(t, in)
		store.mu.Lock()
		store.before = func(int, string) error { return errDown }
		store.mu.Unlock()
		record(t, in, event("pending"), event("pending too"))
		time.Sleep(time.Second)
		stop(t, in)

		in = mustOpen(t, peerConfig(dir, store, m))
		in.Start()
		time.Sleep(5 * time.Second)
		if said := m.last(in.Node()); said.Stored != 1 || said.Pending != 2 {
			t.Errorf("the node says %+v, want 1 stored and 2 pending", said)
		}
		store.mu.Lock()
		store.before = nil
		store.mu.Unlock()
		flush(t, in)
		time.Sleep(2 * time.Second)
		if said := m.last(in.Node()); said.Stored != 3 || said.Pending != 0 {
			t.Errorf("the node says %+v, want all 3 stored", said)
		}
		stop(t, in)
	})
}

// TestCopiesKeepTheirOrigin encodes reversals with and without one, one after the other.
func TestCopiesKeepTheirOrigin(t *testing.T) {
	of := queries.Origin{Node: other, Sequence: 1 << 40}
	e := event("")
	e.ID, e.Entry = other, schema.Reversal
	data := AppendEvent(nil, &e)
	data = AppendCopy(data, &e, of)
	data = AppendEvent(data, &e)
	var got []queries.Origin
	err := ReadEntries(string(data), func(e *schema.Event, of queries.Origin) error {
		if e.Entry != schema.Reversal || len(e.Measurements) != 1 {
			t.Errorf("read %+v", e)
		}
		got = append(got, of)
		return nil
	})
	if want := []queries.Origin{{}, of, {}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("origins %v, %v, want %v", got, err, want)
	}
	for n := range data {
		_ = ReadEntries(string(data[:n]), func(*schema.Event, queries.Origin) error { return nil })
	}
}
