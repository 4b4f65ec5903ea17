package ingest

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest/keys"
)

// openKeys opens the known keys of a log.
func openKeys(c Config, log *logFile) (*keys.Store, error) {
	first, err := log.firstIndex()
	if err != nil {
		return nil, err
	}
	if first == 0 {
		first = log.last + 1
	}
	return keys.Open(keys.Config{
		Dir: filepath.Join(c.Dir, "keys"), Aside: AsideDir(c.Dir), Window: c.Window,
		Now: c.Now, Logger: c.Logger, Node: log.node, LogFirst: first, LogLast: log.last,
		RecentMax: c.keysRecent,
	})
}

// keysLogBytes is how much of the log is kept at most only because the keys in it are not on disk.
const keysLogBytes = 64 << 20

// knownUpTo tells the keys that those added are in the log up to an entry of a size.
func (in *Ingest) knownUpTo(index uint64, bytes int) {
	in.keys.Committed(index)
	if in.keysBytes += int64(bytes); in.keysBytes >= keysLogBytes {
		in.keysBytes = 0
		in.keys.Save()
	}
}

// know adds the keys of an entry.
func (in *Ingest) know(index uint64, e entry, size int) error {
	var event schema.Event
	r := reader{rest: e.events}
	for range e.count {
		keyed, err := r.event(&event)
		if err != nil {
			return fmt.Errorf("log: entry %d: %w", index, err)
		}
		if keyed {
			in.keys.Add(event.ID, event.IngestTime)
		}
	}
	in.knownUpTo(index, size)
	if in.keys.Full() {
		return fmt.Errorf("log: %d keys of it are in memory and cannot be written: look at the disk",
			in.keys.Len())
	}
	return nil
}

// knowStored adds the keys of entries that are stored already and were not in the keys' own files
// at the last end of the process. Entries that are gone from the log were in them, or had none.
func (in *Ingest) knowStored(stored uint64) error {
	first, err := in.log.firstIndex()
	if err != nil || first == 0 {
		return err
	}
	lost := false
	from, to := max(first, in.keys.Durable()+1), min(stored, in.log.last)
	return in.log.each(from, to, func(index uint64, e entry, size int) error {
		if size == 0 && !lost { // see logFile.read
			lost = true
			in.cfg.Logger.Error("entries of the log that are stored cannot be read any more: their "+
				"keys are learned again from the database", "first_entry", index)
			in.keys.Lose()
		}
		return in.know(index, e, size)
	})
}

// firstIndex returns the index of the oldest entry, 0 when there is none.
func (l *logFile) firstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	first, err := l.wal.FirstIndex()
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	return first, nil
}

// flushKeys writes what is in memory, unless that takes long: then the log has it.
func (in *Ingest) flushKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := in.keys.Flush(ctx); err != nil {
		in.cfg.Logger.Warn("known keys stay in the log until the next start", "error", err)
	}
}

func errKeysFull() error {
	return &schema.Error{
		Kind: schema.Overloaded,
		Message: "known idempotency keys cannot be written right now; nothing was accepted, " +
			"try again",
		RetryAfter: 5 * time.Second,
	}
}

// groupKeys is which of a group's events with a key are new.
type groupKeys struct {
	ids      []uuid.UUID // of the events with a key, in order
	repeated []int       // positions among ids of those that were known
	next     int         // position among ids that isKnown is about
	left     []int       // of repeated, from next on
}

// add makes the keys of a group known, all at once, which costs less than one by one.
func (g *groupKeys) add(group []*request, known *keys.Store, now time.Time) {
	g.ids, g.next = g.ids[:0], 0
	for _, r := range group {
		for _, id := range r.keyed {
			if id != uuid.Nil {
				g.ids = append(g.ids, id)
			}
		}
	}
	g.repeated = g.repeated[:0]
	if len(g.ids) > 0 {
		g.repeated = known.AddAll(g.ids, now, g.repeated)
	}
	g.left = g.repeated
}

// isKnown reports whether the group's next event with a key has one that was known.
func (g *groupKeys) isKnown() bool {
	known := len(g.left) > 0 && g.left[0] == g.next
	if known {
		g.left = g.left[1:]
	}
	g.next++
	return known
}

// forget takes back what add made known.
func (g *groupKeys) forget(known *keys.Store) {
	added := make([]uuid.UUID, 0, len(g.ids)-len(g.repeated))
	g.next, g.left = 0, g.repeated
	for _, id := range g.ids {
		if !g.isKnown() {
			added = append(added, id)
		}
	}
	known.Forget(added)
}

// keysMetrics is what the known keys say of themselves.
func keysMetrics(known *keys.Store) []prometheus.Collector {
	gauge := func(name, help string, of func(keys.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "meterhouse_keys_" + name, Help: help},
			func() float64 { return of(known.Stats()) })
	}
	counter := func(name, help string, of func(keys.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: "meterhouse_keys_" + name, Help: help},
			func() float64 { return float64(of(known.Stats())) })
	}
	return []prometheus.Collector{
		gauge("known", "Idempotency keys that would be recognized, about.",
			func(keys.Stats) float64 { return float64(known.Len()) }),
		gauge("recent", "Known keys that are not in a file yet.",
			func(s keys.Stats) float64 { return float64(s.Recent) }),
		gauge("files", "Files of known keys.",
			func(s keys.Stats) float64 { return float64(s.Runs) }),
		gauge("disk_bytes", "Size of the files of known keys.",
			func(s keys.Stats) float64 { return float64(s.DiskBytes) }),
		gauge("memory_bytes", "Memory of known keys.",
			func(s keys.Stats) float64 { return float64(s.MemoryBytes) }),
		gauge("unfiltered_files", "Files of known keys too large for the memory: each new key "+
			"reads them.", func(s keys.Stats) float64 { return float64(s.Unfiltered) }),
		gauge("lost", "1 while keys are lost to damage that were not learned again yet.",
			func(s keys.Stats) float64 {
				if s.Lost {
					return 1
				}
				return 0
			}),
		counter("damaged_total", "Known keys lost to damage, about.",
			func(s keys.Stats) int64 { return s.Damaged }),
		counter("write_failures_total", "Writes of known keys that failed and are tried again.",
			func(s keys.Stats) int64 { return s.Failures }),
	}
}
