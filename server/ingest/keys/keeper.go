package keys

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// keeper writes frozen tables as runs, and merges runs. It does one thing at a time: while it
// merges it stops now and then to write what was frozen meanwhile.
type keeper struct {
	s    *Store
	next uint64 // number of the next run

	work    sync.Mutex // held by whoever writes
	wake    chan struct{}
	closing chan struct{}
	done    chan struct{}

	merging    []*run      // right now
	renew      atomic.Bool // a filter or a page is damaged: all runs are to be made anew
	unfiltered bool        // that there is no room for one was said
	said       string      // the last failure that was logged
	samples    []time.Time // what the clock said at each of the last ticks
	aged       int         // ticks since the active table was frozen
}

const (
	tick       = time.Minute
	ageTicks   = 5  // keys are on disk after so many at the latest
	clockTicks = 60 // the clock has to say for so many that keys are too old
)

func newKeeper(s *Store) *keeper {
	return &keeper{
		s: s, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
}

func (k *keeper) start() {
	go func() {
		defer close(k.done)
		k.run()
	}()
}

func (k *keeper) stop() {
	close(k.closing)
	k.s.mu.Lock()
	started := k.s.started
	k.s.mu.Unlock()
	if started {
		<-k.done
	}
}

func (k *keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	retry := time.Second
	if errors.Is(k.warm(), errClosing) {
		return
	}
	for {
		err := k.flush()
		if err == nil {
			err = k.merge()
		}
		var again <-chan time.Time
		if err != nil {
			again = time.After(retry)
			retry = min(2*retry, 30*time.Second)
		} else {
			retry = time.Second
		}
		select {
		case <-k.closing:
			return
		case <-again:
		case <-ticks.C:
			k.tick()
		case <-k.wake:
			if again != nil {
				k.sleep(again) // a disk that fails is not asked at the speed of the writers
			}
		}
	}
}

// sleep waits; false when the store is closing.
func (k *keeper) sleep(until <-chan time.Time) bool {
	select {
	case <-until:
		return true
	case <-k.closing:
		return false
	}
}

// tick looks at the clock, and has keys that have been in memory for long written.
func (k *keeper) tick() {
	k.samples = append(k.samples, k.s.cfg.Now())
	if len(k.samples) > clockTicks {
		k.samples = k.samples[1:]
	}
	if k.aged++; k.aged >= ageTicks {
		k.aged = 0
		k.s.Save()
	}
}

// horizon returns the moment such that keys accepted before are deleted. It believes the clock only
// what it has said for an hour of this process, so that one that jumps ahead deletes nothing.
func (k *keeper) horizon() int64 {
	if len(k.samples) < clockTicks {
		return 0
	}
	least := k.samples[0]
	for _, t := range k.samples {
		if t.Before(least) {
			least = t
		}
	}
	return least.Unix() - k.s.window
}

// flush writes every frozen table and says why it cannot.
func (k *keeper) flush() error {
	k.work.Lock()
	defer k.work.Unlock()
	return k.flushLocked()
}

func (k *keeper) flushLocked() error {
	s := k.s
	for {
		s.mu.Lock()
		s.settle()
		var f *frozen
		if len(s.frozen) > 0 {
			f = s.frozen[0]
		}
		dirty := s.dirty
		s.mu.Unlock()
		if f == nil && dirty {
			return k.save()
		}
		if f == nil {
			return nil
		}
		if err := k.note(k.write(f)); err != nil {
			return err
		}
	}
}

// write makes a run of a frozen table.
func (k *keeper) write(f *frozen) error {
	all := f.keys.sorted()
	r, err := k.newRun(len(all), nil, func(w *runWriter) error {
		for _, record := range all {
			if err := w.add(record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	k.loadFilter(r)
	s := k.s
	s.mu.Lock()
	m := k.manifest(append(slices.Clone(s.runs), r))
	m.Durable, m.Learned = f.index, maps.Clone(f.learned)
	s.mu.Unlock()
	if err := k.writeManifest(m); err != nil {
		return errors.Join(err, r.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, r)
	s.frozen = s.frozen[1:]
	s.durable = max(s.durable, f.index)
	s.saved = f.learned
	s.settle()
	s.moved()
	return nil
}

// newRun writes a run of at most most records and opens it. Instead are the runs it will replace.
func (k *keeper) newRun(most int, instead []*run, fill func(*runWriter) error) (*run, error) {
	s := k.s
	path := filepath.Join(s.cfg.Dir, runName(k.next))
	shape := shapeFor(most, 8*s.cfg.RecentMax, k.room(most, instead))
	w, err := newRunWriter(s.cfg.disk, path, most, shape)
	if err != nil {
		return nil, err
	}
	k.next++
	if err := fill(w); err != nil {
		w.abort()
		return nil, err
	}
	if _, err := w.finish(); err != nil {
		return nil, err
	}
	r, err := openRun(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return r, nil
}

// loadFilter reads a run's filter, or says that it cannot and has it made anew.
func (k *keeper) loadFilter(r *run) {
	if err := r.loadFilter(); err != nil {
		k.renew.Store(true)
		k.s.cfg.Logger.Error("a filter of known keys is damaged: they are slower until it is "+
			"made anew", "file", r.Name, "keys", r.Records, "error", err)
	}
	if r.head.shape.blocks == 0 && r.Records > 0 {
		k.sayUnfiltered(r)
	}
}

// room returns how many bytes the filter of a new run may take, such that there is some left for
// the smaller ones to come.
func (k *keeper) room(most int, instead []*run) int64 {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.cfg.MemoryMax - s.tableRoom() - int64(most/pageRecords+1)*8
	for _, r := range s.runs {
		if !slices.Contains(instead, r) {
			room -= r.memory()
		}
	}
	if most > 8*s.cfg.RecentMax {
		room -= int64(most) / mergeAllAt * filterBits / 8
	}
	return max(room, 0)
}

// tableRoom is the memory of the tables in the normal case: one that is filled, one that is written,
// and its records in order.
func (s *Store) tableRoom() int64 {
	return 3 * int64(len(s.active.slots)) * recordBytes
}

// manifest returns one of runs, with what is durable as it is; s.mu is held.
func (k *keeper) manifest(runs []*run) manifest {
	s := k.s
	m := manifest{
		Node: s.cfg.Node, Durable: s.durable, Learned: maps.Clone(s.saved), Lost: s.loss > 0,
		Next: k.next,
	}
	for _, r := range runs {
		m.Runs = append(m.Runs, r.runInfo)
	}
	return m
}

func (k *keeper) writeManifest(m manifest) error {
	data, err := m.encode()
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	d := k.s.cfg.disk
	path := filepath.Join(k.s.cfg.Dir, manifestName)
	f, err := d.Create(path + temporary)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	_, err = f.WriteAt(data, 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = publish(d, path)
	}
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// save writes the manifest of what is on disk: after a flush it says how far the log was read.
func (k *keeper) save() error {
	s := k.s
	s.mu.Lock()
	if s.active.len == 0 && len(s.frozen) == 0 {
		s.saved = maps.Clone(s.learned)
	}
	m := k.manifest(s.runs)
	s.dirty = false
	s.mu.Unlock()
	err := k.note(k.writeManifest(m))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = s.dirty || err != nil
	s.moved()
	return err
}

// note counts a failure, says it when it is news, and says when it is over.
func (k *keeper) note(err error) error {
	s := k.s
	s.mu.Lock()
	s.failed = err
	if err != nil {
		s.failures++
	}
	s.mu.Unlock()
	switch {
	case err == nil && k.said != "":
		k.said = ""
		s.cfg.Logger.Info("known keys are written again")
	case err != nil && k.said != err.Error():
		k.said = err.Error()
		s.cfg.Logger.Warn("known keys cannot be written; they stay in memory and the log keeps "+
			"theirs: look at the disk", "error", err)
	}
	return err
}

func (k *keeper) sayUnfiltered(r *run) {
	if k.unfiltered {
		return
	}
	k.unfiltered = true
	k.s.cfg.Logger.Warn("known keys need more memory than they may take: each new key reads a file",
		"file", r.Name, "keys", r.Records, "memory_max", k.s.cfg.MemoryMax)
}
