package keys

import (
	"errors"
	"math/bits"
	"time"

	"github.com/google/uuid"
)

// chunk is how many keys are looked up together: run by run, so that the reads of their filters,
// each a miss of the cache, overlap; and how long one caller keeps the others waiting.
const chunk = 64

// add adds keys and appends the positions of those that were known, counted from first, to known.
func (s *Store) add(ids []uuid.UUID, first int, at time.Time, known []int) []int {
	var records [chunk]record
	for i, id := range ids {
		records[i] = recordOf(id, seconds(at))
	}
	now := at.Unix()
	found := s.search(records[:len(ids)], now)
	for i, r := range records[:len(ids)] {
		if found&(1<<i) == 0 {
			place := s.active.slot(r)
			if place.at == 0 || !place.knownAt(now, s.window) {
				s.active.put(r)
				continue
			}
		}
		known = append(known, first+i)
	}
	return known
}

// search returns a bit for each key that is known at a moment.
func (s *Store) search(records []record, now int64) (found uint64) {
	for i := range records {
		if r := s.active.get(records[i]); r.at != 0 && r.knownAt(now, s.window) {
			found |= 1 << i
		}
	}
	for _, f := range s.frozen {
		for i := range records {
			if r := f.keys.get(records[i]); r.at != 0 && r.knownAt(now, s.window) {
				found |= 1 << i
			}
		}
	}
	for _, run := range s.runs {
		if int64(run.To)+s.window <= now {
			continue
		}
		maybe := ^uint64(0) >> (chunk - len(records))
		if run.filter != nil {
			maybe = run.filter.may(records)
		}
		for maybe &^= found; maybe != 0; maybe &= maybe - 1 {
			if i := bits.TrailingZeros64(maybe); s.inRun(run, records[i], now) {
				found |= 1 << i
			}
		}
	}
	return found
}

func (s *Store) inRun(run *run, key record, now int64) bool {
	at, err := run.find(key, s.page[:])
	if err != nil {
		if s.sayDamage(err) {
			s.keeper.renew.Store(true) // or it is met again at every restart
			s.keeper.signal()
		}
		return false
	}
	return at != 0 && record{at: at}.knownAt(now, s.window)
}

// sayDamage says once which keys a page that cannot be read has lost; false: it was said before.
func (s *Store) sayDamage(err error) bool {
	var e *pageError
	if !errors.As(err, &e) || e.run.bad[e.page] {
		return false
	}
	if e.run.bad == nil {
		e.run.bad = make(map[int]bool)
	}
	e.run.bad[e.page] = true
	s.cfg.Logger.Error("known keys are damaged, learning them again from the database",
		"file", e.run.Name, "page", e.page, "keys", pageRecords, "accepted_from", clock(e.run.From),
		"accepted_to", clock(e.run.To), "error", e.err)
	s.lose(pageRecords)
	return true
}

func clock(at uint32) time.Time { return time.Unix(int64(at), 0).UTC() }

// Len returns about how many keys are known: those that are in the ledger twice, and those that
// are too old but still on disk, are counted too.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.recent()
	for _, r := range s.runs {
		n += r.Records
	}
	return n
}

func (s *Store) recent() int {
	n := s.active.len
	for _, f := range s.frozen {
		n += f.keys.len
	}
	return n
}

// Stats is what a Store says of itself.
type Stats struct {
	Recent      int   // keys not on disk yet
	Runs        int   // files
	DiskBytes   int64 // of all runs
	MemoryBytes int64 // of tables, filters and page indexes
	Unfiltered  int   // runs without a filter: each new key reads them
	Damaged     int64 // keys lost to damage since the start
	Failures    int64 // writes that failed since the start
	Lost        bool  // keys are lost that were not learned again yet
}

// Stats returns what the store is like now.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Recent: s.recent(), Runs: len(s.runs), MemoryBytes: s.memory(), Damaged: s.damaged,
		Failures: s.failures, Lost: s.loss > 0,
	}
	for _, r := range s.runs {
		st.DiskBytes += r.bytes
		if r.filter == nil {
			st.Unfiltered++
		}
	}
	return st
}

// memory is what tables, filters and page indexes take.
func (s *Store) memory() int64 {
	n := int64(len(s.active.slots)) * recordBytes
	for _, f := range s.frozen {
		n += int64(len(f.keys.slots)) * recordBytes
	}
	for _, r := range s.runs {
		n += r.memory()
	}
	return n
}
