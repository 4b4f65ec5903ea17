package ingest

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// lostRun is entries, one after the other, that cannot be read any more: what stood there was
// acknowledged and its bytes are destroyed.
type lostRun struct {
	from, to    uint64 // indexes of the log
	first, last uint64 // sequences; last < first: it is not known how many there were
	open        bool   // there may have been more behind last
	bytes       [][]byte
}

// events returns how many events were lost, as far as that is known.
func (r lostRun) events() uint64 { return r.last + 1 - r.first }

var errEnough = errors.New("enough")

// each reads entries one after the other, ten times as fast as read does: from the segments, a
// megabyte at a time. Between calls it holds nothing that grows with the log.
func (l *logFile) each(from, to uint64, do func(index uint64, e entry, size int) error) error {
	state, _ := l.meta.Load(l.dir)
	upTo := func(index uint64) error { // what the segments do not have, lost or not
		for ; from < index; from++ {
			e, size, err := l.read(from)
			if err == nil {
				err = do(from, e, size)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, info := range state.Segments {
		if info.MaxIndex != 0 && info.MaxIndex < from || info.BaseIndex > to {
			continue
		}
		file, err := openReader(l.disk, l.dir, segment.FileName(info))
		if err != nil {
			continue // read says what that means
		}
		_, err = scanSegment(file, info.BaseIndex, func(s segmentEntry) error {
			if s.index > to || info.MaxIndex != 0 && s.index > info.MaxIndex {
				return errEnough
			}
			if s.index < from {
				return nil
			}
			if err := upTo(s.index); err != nil {
				return err
			}
			e, err := openEntry(s.data)
			if err == nil {
				from++
				err = do(s.index, e, len(s.data))
			}
			return err
		})
		if err = errors.Join(err, file.Close()); err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	return upTo(to + 1)
}

// lostAt returns the run of lost entries that has an index, and tells of it when it is new. An error
// says that the disk takes nothing: one that is gone may come back with all it had.
func (l *logFile) lostAt(index uint64) (lostRun, error) {
	l.lostMu.Lock()
	defer l.lostMu.Unlock()
	for _, r := range l.lost {
		if r.from <= index && index <= r.to {
			return r, nil
		}
	}
	if err := l.meta.touch(); err != nil {
		return lostRun{}, fmt.Errorf("log: entry %d cannot be read, nor anything written: %w", index, err)
	}
	r := l.measure(index)
	l.lost = append(l.lost, r)
	if n := len(l.lost); n > 1000 {
		l.lost = l.lost[n-1000:]
	}
	l.damage(r)
	return r, nil
}

// measure finds the readable entries around a lost one: what is between their sequences is lost.
func (l *logFile) measure(index uint64) lostRun {
	r := lostRun{from: index, to: index}
	stored, known := l.meta.stored.Load(), false
	if index <= stored { // nothing is lost
		r.to, r.first = stored, l.meta.after.Load()
		r.last = r.first - 1
		return r
	}
	for ; ; r.from-- {
		if r.from == stored+1 {
			r.first, known = l.meta.after.Load(), true
			break
		}
		e, _, err := l.get(r.from - 1)
		if err == nil {
			r.first, known = e.next(), true
		}
		if !errors.Is(err, types.ErrCorrupt) {
			break
		}
	}
	next := l.meta.next.Load()
	for last := l.meta.last.Load(); r.to < last; r.to++ {
		e, _, err := l.get(r.to + 1)
		if err == nil {
			next = e.first
		}
		if !errors.Is(err, types.ErrCorrupt) {
			break
		}
	}
	if !known {
		r.first = next // nothing says where the run began
	}
	r.open = l.ends > 0 && r.to >= l.ends
	r.last = next - 1
	r.bytes = l.remains(r)
	return r
}

// remainsMax bounds how much of what is left of lost entries is kept.
const remainsMax = 16 << 20

// remains returns what stands where lost entries were.
func (l *logFile) remains(r lostRun) (parts [][]byte) {
	state, _ := l.meta.Load(l.dir) // it has no error
	size := int64(0)
	for _, info := range state.Segments {
		if info.BaseIndex > r.to || info.MaxIndex != 0 && info.MaxIndex < r.from {
			continue
		}
		file, err := openReader(l.disk, l.dir, segment.FileName(info))
		if err != nil {
			continue // missing: nothing remains
		}
		scan, _ := scanSegment(file, info.BaseIndex, nil)
		for _, b := range scan.bad {
			n := min(b.to-b.from, remainsMax-size)
			if b.behind+1 < r.from && b.behind != 0 || b.behind > r.to || n <= 0 {
				continue
			}
			part := make([]byte, n)
			if _, err := file.ReadAt(part, b.from); err == nil {
				parts = append(parts, part)
				size += n
			}
		}
		file.Close()
	}
	return parts
}

// lostEvents tells the operator, in the log, in a metric and in the folder aside.
func (in *Ingest) lostEvents(r lostRun) {
	if in.batcher.storedUpTo() >= r.to {
		in.cfg.Logger.Warn("an entry of the log that is stored cannot be read any more: nothing is "+
			"lost; check the disk", "entry", r.from)
		return
	}
	in.metrics.damaged.Add(float64(r.events()))
	what := "entries of the log cannot be read: the disk changed or lost their bytes"
	if r.open || r.events() == 0 {
		what += "; there may have been more events than this says"
	}
	path, err := setAside(in.cfg.Dir, SetAside{
		Kind: KindDamage, Node: in.Node(), First: r.first, Last: r.last, Events: r.events(),
		Error: fmt.Sprintf("%s (entries %d-%d)", what, r.from, r.to), At: in.cfg.Now().UTC(),
	}, r.bytes)
	attrs := []any{
		"events", r.events(), "sequences", fmt.Sprintf("%d-%d", r.first, r.last), "file", path,
		"what", what,
	}
	if err != nil {
		attrs = append(attrs, "not_kept", err)
	}
	in.cfg.Logger.Error("the log is damaged: acknowledged events are lost, all others are stored; "+
		"check the disk, run `meterhouse verify`, and have the clients send again what they sent "+
		"last before the file's time", attrs...)
}

// storedUpTo returns the index of the newest stored entry.
func (b *batcher) storedUpTo() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.progress.Stored
}
