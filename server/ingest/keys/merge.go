package keys

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"time"
)

// mergeAllAt: when the other runs together are an eighth of the largest, all are made one. Then a
// key is written nine times in its life, and an eighth of what is on disk is too old at most.
// mergeSome: until then, so many of about one size are made one, so that there are few to ask.
const (
	mergeAllAt = 8
	mergeSome  = 8
)

// urgent is a number of runs at which merging no longer leaves the processor to others.
const urgent = 20

// errClosing ends a merge that the store does not wait for.
var errClosing = errors.New("keys: closing")

// merge removes runs that are too old as a whole, and merges until nothing is due.
func (k *keeper) merge() error {
	k.work.Lock()
	defer k.work.Unlock()
	for {
		due, old := k.due()
		if len(due) == 0 {
			return nil
		}
		err := k.replace(due, old)
		if errors.Is(err, errClosing) {
			return nil
		}
		if k.note(err) != nil {
			return err
		}
	}
}

// due returns the runs that are to be replaced by one; old: by none. Those that are being merged
// are left alone.
func (k *keeper) due() (due []*run, old bool) {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := slices.DeleteFunc(slices.Clone(s.runs), func(r *run) bool {
		return slices.Contains(k.merging, r)
	})
	horizon := k.horizon()
	var all int
	for _, r := range runs {
		if int64(r.To) <= horizon {
			due = append(due, r)
		}
		all += r.Records
	}
	if len(due) > 0 {
		return due, true
	}
	slices.SortStableFunc(runs, func(a, b *run) int { return b.Records - a.Records })
	few := len(k.merging) > 0 && len(runs) < mergeSome
	if few || len(runs) == 0 {
		return nil, false
	}
	enough := len(runs) > 1 && (all-runs[0].Records)*mergeAllAt >= runs[0].Records
	if k.renew.Swap(false) || enough {
		return runs, false
	}
	for limit := 4 * s.cfg.RecentMax; len(runs) > mergeSome; limit *= mergeSome {
		i := slices.IndexFunc(runs[1:], func(r *run) bool { return r.Records < limit }) + 1
		if i > 0 && len(runs)-i >= mergeSome {
			return runs[i:], false
		}
		if limit > runs[1].Records {
			break
		}
	}
	return nil, false
}

// replace makes one run of those that are due, and removes them.
func (k *keeper) replace(due []*run, old bool) error {
	s := k.s
	var made *run
	if !old {
		most := 0
		for _, r := range due {
			most += r.Records
		}
		var err error
		k.merging = append(k.merging, due...)
		made, err = k.newRun(most, due, func(w *runWriter) error { return k.mergeInto(w, due) })
		k.merging = k.merging[:len(k.merging)-len(due)]
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	left := slices.DeleteFunc(slices.Clone(s.runs), func(r *run) bool {
		return slices.Contains(due, r)
	})
	if made != nil {
		left = append(left, made)
	}
	m := k.manifest(left)
	fits := made != nil && s.memory()+made.head.shape.bytes() <= s.cfg.MemoryMax
	s.mu.Unlock()
	if fits {
		k.loadFilter(made)
	}
	if err := k.writeManifest(m); err != nil {
		if made != nil {
			err = errors.Join(err, made.close())
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = left
	var errs []error
	for _, r := range due {
		errs = append(errs, r.close())
		if err := s.cfg.disk.Remove(filepath.Join(s.cfg.Dir, r.Name)); err != nil {
			s.cfg.Logger.Warn("a file of the known keys was not removed", "file", r.Name, "error", err)
		}
	}
	if made != nil && !fits {
		// There was no room for the old ones and the new one: writers wait for a read of 1 byte a key.
		k.loadFilter(made)
	}
	return errors.Join(errs...)
}

// mergeInto writes the records of runs in order, each key once, with its latest time.
func (k *keeper) mergeInto(w *runWriter, runs []*run) error {
	var from []*source
	for _, r := range runs {
		if s := newSource(r, k.badPage); s.next() {
			from = append(from, s)
		}
	}
	horizon := uint32(min(max(k.horizon(), 0), math.MaxUint32))
	began := time.Now()
	for n := 1; len(from) > 0; n++ {
		first := from[0]
		for _, s := range from[1:] {
			if s.cur.hi < first.cur.hi || s.cur.hi == first.cur.hi && s.cur.lo < first.cur.lo {
				first = s
			}
		}
		r := first.cur
		for i := 0; i < len(from); i++ {
			if s := from[i]; s.cur.same(r) {
				r.at = max(r.at, s.cur.at)
				if !s.next() {
					from = slices.Delete(from, i, i+1)
					i--
				}
			}
		}
		if r.at > horizon {
			if err := w.add(r); err != nil {
				return err
			}
		}
		if n%pauseRecords == 0 {
			if err := k.pause(time.Since(began)); err != nil {
				return err
			}
			began = time.Now()
		}
	}
	return nil
}

// pauseRecords is how many records are merged in one go: a few milliseconds.
const pauseRecords = 1 << 16

// pause writes what was frozen while a merge went on, merges what has come together of that, and
// leaves two thirds of a processor to others unless there are many runs to be asked.
func (k *keeper) pause(worked time.Duration) error {
	if err := k.flushLocked(); err != nil {
		return err
	}
	if due, old := k.due(); len(due) > 0 && !old {
		if err := k.replace(due, false); err != nil {
			return err
		}
	}
	k.s.mu.Lock()
	hurry, started := len(k.s.runs) > urgent, k.s.started
	k.s.mu.Unlock()
	if hurry || !started {
		worked = 0
	}
	if !k.sleep(time.After(2 * worked)) {
		return errClosing
	}
	return nil
}

func (k *keeper) badPage(err error) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	k.s.sayDamage(err)
}

// source reads a run from front to back.
type source struct {
	run *run
	bad func(error) // is told of each page that cannot be read; its records are left out
	cur record

	buf   []byte
	page  int // number of the page that cur is on
	first int // number of the first page in buf
	i, n  int // cur's place on its page, and how many there are
}

func newSource(r *run, bad func(error)) *source {
	return &source{run: r, bad: bad, page: -1, i: -1}
}

// next moves on to the next record; false at the end.
func (s *source) next() bool {
	s.i++
	for s.i >= s.n {
		if s.page++; s.page >= s.run.pages {
			return false
		}
		s.i = 0
		var err error
		if s.n, err = s.run.check(s.page, s.pageAt()); err != nil {
			s.bad(err)
			s.n = 0
		}
	}
	at := (s.page - s.first) * pageBytes
	s.cur = decodeRecord(s.buf[at:at+pageBytes], s.i)
	return true
}

// pageAt returns the current page, and reads it with those behind it if need be. What cannot be
// read is zero, which is no page.
func (s *source) pageAt() []byte {
	if s.buf == nil || (s.page-s.first)*pageBytes >= len(s.buf) {
		s.first = s.page
		size := min(writeBytes, (s.run.pages-s.page)*pageBytes)
		if cap(s.buf) == 0 {
			s.buf = make([]byte, size)
		}
		s.buf = s.buf[:size]
		if _, err := s.run.file.ReadAt(s.buf, int64(1+s.page)*pageBytes); err != nil {
			s.buf = s.buf[:pageBytes]
			if _, err := s.run.file.ReadAt(s.buf, int64(1+s.page)*pageBytes); err != nil {
				clear(s.buf)
			}
		}
	}
	at := (s.page - s.first) * pageBytes
	return s.buf[at : at+pageBytes]
}
