// Package keys remembers which events with an idempotency key there are.
//
// A key is known by its event's id, which is made of the organization and the key. Known are the
// keys of the node's own log and those it learned from other nodes, for a window of time.
//
// New keys are in a table in memory. A full one is frozen, together with how far the log and what
// was learned go in it, and written as a sorted file, a run; runs are merged into larger ones,
// where what is older than the window drops out. A manifest says which runs there are. What is not
// in a run yet is in the log, which is kept for that long, or is learned again: a crash loses
// nothing, and damage to a file is said and made good from ClickHouse.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Config is what a Store needs. Zero limits mean the defaults.
type Config struct {
	Dir    string        // the store's own folder
	Aside  string        // folder for damaged files; empty: they stay under another name
	Window time.Duration // how long a key is known, to the second; default 34 days
	Now    func() time.Time
	Logger *slog.Logger

	// Node is the log's id, and LogLast its last index: what the store has of another log, or of
	// entries that this one does not have, says nothing about what is to be added again. LogFirst is
	// its first: the keys of what was before are in the store, or lost where the store is new.
	Node     uuid.UUID
	LogFirst uint64
	LogLast  uint64

	RecentMax int   // keys in memory that are not on disk yet; default 393,216
	MemoryMax int64 // bytes; beyond it filters shrink, and are left out at last; default 192 MiB

	disk disk
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = 34 * 24 * time.Hour
	}
	if c.RecentMax == 0 {
		c.RecentMax = 3 << 17 // a table of 8 MiB, three quarters full
	}
	if c.MemoryMax == 0 {
		c.MemoryMax = 192 << 20
	}
	if c.disk == nil {
		c.disk = realDisk{}
	}
	return c
}

// frozenMax is how many full tables may wait to be written. Beyond it the store is Full.
const frozenMax = 3

// frozen is a table that gets no more keys: all of the log up to an index, and of what was learned.
type frozen struct {
	keys    *table
	index   uint64
	learned map[uuid.UUID]uint64
}

// Store is the known keys of one node. It is safe for concurrent use.
type Store struct {
	cfg    Config
	window int64 // seconds
	seed   uint64

	mu          sync.Mutex
	active      *table
	uncommitted int                  // keys in active that may not be in the log yet
	contested   map[record]struct{}  // of those, what a peer has as well; their time is 0
	freezeSoon  bool                 // at the next moment when nothing is uncommitted
	frozen      []*frozen            // oldest first
	runs        []*run               // oldest first
	index       uint64               // of the log, up to which all keys were added
	durable     uint64               // likewise, in runs
	learned     map[uuid.UUID]uint64 // by node
	saved       map[uuid.UUID]uint64 // likewise, in runs
	dirty       bool                 // the manifest does not say what is lost
	stale       map[uuid.UUID]bool   // nodes that have not asked for learned since keys were lost
	loss        int                  // counts losses while not all is regained; 0: nothing is lost
	damaged     int64                // keys that were lost
	failures    int64                // writes that failed
	failed      error                // the last write, if it failed
	started     bool
	closed      bool
	isFull      atomic.Bool   // full, as of the last settle
	changed     chan struct{} // closed and replaced when frozen gets shorter, or at the end
	page        [pageBytes]byte

	keeper *keeper
}

// Open opens the store in its folder, or makes a new one. It reads the filters, about a byte a key.
// Damage is logged and does not fail it: see Lost.
func Open(c Config) (*Store, error) {
	c = c.withDefaults()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	s := &Store{
		cfg:       c,
		window:    int64(c.Window / time.Second),
		seed:      rand.Uint64(),
		contested: make(map[record]struct{}),
		learned:   make(map[uuid.UUID]uint64),
		saved:     make(map[uuid.UUID]uint64),
		stale:     make(map[uuid.UUID]bool),
		changed:   make(chan struct{}),
	}
	s.active = s.newTable()
	s.keeper = newKeeper(s)
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.closeRuns())
	}
	return s, nil
}

func (s *Store) newTable() *table { return newTable(s.cfg.RecentMax, s.seed) }

// Start starts writing and merging runs. Until then, full tables are written by Committed itself.
func (s *Store) Start() {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.keeper.start()
}

// Add makes the key of an event that is accepted at a moment known, and reports whether it was
// new.
func (s *Store) Add(id uuid.UUID, at time.Time) bool {
	var known [1]int
	return len(s.AddAll([]uuid.UUID{id}, at, known[:0])) == 0
}

// AddAll is Add for many, which costs less than one by one. It appends the positions of those that
// were known to known; of two that are the same the second was.
func (s *Store) AddAll(ids []uuid.UUID, at time.Time, known []int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for from := 0; from < len(ids); from += chunk {
		part := ids[from:min(from+chunk, len(ids))]
		before := len(known)
		known = s.add(part, from, at, known)
		s.uncommitted += len(part) - (len(known) - before)
	}
	return known
}

// Forget takes keys back that Add just made known, because their events did not become durable.
func (s *Store) Forget(ids []uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		r := recordOf(id, 0)
		if _, ok := s.contested[r]; !ok {
			s.active.remove(r)
		}
	}
	s.uncommitted = max(s.uncommitted-len(ids), 0)
	s.settle()
}

// Committed says that every key added so far is in the log's entries up to index.
func (s *Store) Committed(index uint64) {
	s.mu.Lock()
	s.index, s.uncommitted = index, 0
	s.settle()
	s.mu.Unlock()
	s.flushUnstarted()
}

// flushUnstarted writes what the keeper would, if it ran. A failure is said, and Full in the end.
func (s *Store) flushUnstarted() {
	s.mu.Lock()
	due := !s.started && len(s.frozen) > 1
	s.mu.Unlock()
	if due {
		_ = s.keeper.flush()
	}
}

// settle freezes the active table when it is time to and every key in it is in the log.
func (s *Store) settle() {
	if s.uncommitted > 0 {
		return
	}
	clear(s.contested)
	if len(s.frozen) < frozenMax && (s.freezeSoon || s.active.len >= s.cfg.RecentMax) {
		s.freeze()
	}
	if s.active.len == 0 && len(s.frozen) == 0 {
		s.durable = max(s.durable, s.index) // entries without keys need nothing on disk
	}
	s.isFull.Store(s.full())
}

func (s *Store) freeze() {
	s.freezeSoon = false
	if s.active.len == 0 {
		return
	}
	s.frozen = append(s.frozen, &frozen{s.active, s.index, maps.Clone(s.learned)})
	s.active = s.newTable()
	s.keeper.signal()
}

// Durable returns the index of the log up to which the store has every key on disk: what the log
// needs not keep for the keys' sake, and does not add again when it is opened.
func (s *Store) Durable() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable
}

// Full reports that no more keys should be added: what is in memory is at its bound, because the
// disk does not take it. Adding all the same takes more memory and loses nothing.
func (s *Store) Full() bool { return s.isFull.Load() }

func (s *Store) full() bool {
	return len(s.frozen) >= frozenMax && s.active.len >= s.cfg.RecentMax
}

// Learn makes keys known that another node accepted, which are all of its keys up to a sequence of
// its log, and returns the positions of those that were known before: events that may be in the
// ledger twice. It waits while the store is Full.
func (s *Store) Learn(node uuid.UUID, upTo uint64, ids []uuid.UUID, at time.Time) (known []int) {
	for from := 0; from < len(ids); from += chunk {
		part := ids[from:min(from+chunk, len(ids))]
		if !s.lockWithRoom() {
			return known
		}
		before := len(known)
		known = s.add(part, from, at, known)
		if s.uncommitted > 0 {
			for _, i := range known[before:] {
				s.contested[recordOf(ids[i], 0)] = struct{}{}
			}
		}
		s.settle()
		s.mu.Unlock()
		s.flushUnstarted()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stale[node] && !s.closed {
		s.learned[node] = upTo
	}
	return known
}

// lockWithRoom locks when the store is not full; false when it was closed, and nothing is locked.
func (s *Store) lockWithRoom() bool {
	for {
		s.mu.Lock()
		if !s.closed && !s.full() {
			return true
		}
		closed, changed := s.closed, s.changed
		s.mu.Unlock()
		if closed {
			return false
		}
		<-changed
	}
}

// Learned returns the sequence of a node's log up to which its keys were learned; after a crash it
// may be an earlier one, and after keys were lost it is 0 for every node.
func (s *Store) Learned(node uuid.UUID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stale, node)
	return s.learned[node]
}

// Lost returns 0, or a number for the loss of keys to damage that neither the log nor the runs can
// make good: then every node's keys have to be learned from the beginning, those of this node too.
func (s *Store) Lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loss
}

// Regained says that everything was learned again since Lost returned loss. If more was lost since,
// it changes nothing.
func (s *Store) Regained(loss int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loss == loss && loss > 0 {
		s.loss, s.dirty = 0, true
		s.keeper.signal()
	}
}

// Lose says that keys are gone of events that are in the ledger: everything is to be learned again.
func (s *Store) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose(0)
}

// lose notes that keys are gone: what was learned has to be learned again.
func (s *Store) lose(keys int) {
	s.damaged += int64(keys)
	s.loss++
	for node := range s.learned {
		s.stale[node] = true
	}
	clear(s.learned)
	clear(s.saved)
	for _, f := range s.frozen {
		clear(f.learned)
	}
	s.dirty = true
	s.keeper.signal()
}

// Save begins to make everything added or learned so far durable, and does not wait for it.
func (s *Store) Save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freezeSoon = true
	s.settle()
}

// Flush makes everything added or learned so far durable. The error is ctx's, with that of the
// disk if it is the reason.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	s.freezeSoon, s.dirty = true, true
	s.settle()
	s.keeper.signal()
	started := s.started
	s.mu.Unlock()
	if !started {
		return s.keeper.flush()
	}
	for {
		s.mu.Lock()
		left := s.dirty || len(s.frozen) > 0 || s.freezeSoon && s.active.len > 0
		failed, closed, changed := s.failed, s.closed, s.changed
		s.mu.Unlock()
		switch {
		case !left:
			return nil
		case closed:
			return errors.New("keys: closed")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), failed)
		}
	}
}

// Close lets go of the folder. What is not durable yet is not flushed: the log has it.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.moved()
	s.mu.Unlock()
	s.keeper.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeRuns()
}

func (s *Store) closeRuns() error {
	var errs []error
	for _, r := range s.runs {
		errs = append(errs, r.close())
	}
	s.runs = nil
	return errors.Join(errs...)
}

func (s *Store) moved() {
	close(s.changed)
	s.changed = make(chan struct{})
}
