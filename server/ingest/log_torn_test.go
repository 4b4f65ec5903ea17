package ingest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/meterhouse/meterhouse/schema"
)

// readLog opens a log and returns the events that it would send and those it says are lost.
func (w written) readLog(t testing.TB) (events map[uint64]uuid.UUID, lost []lostRun) {
	t.Helper()
	c := testConfig(w.dir, nil).withDefaults()
	c.segment, c.disk = 1500, unsynced{fs.New()}
	l, err := openLog(filepath.Join(w.dir, "wal"), c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.damage = func(r lostRun) { lost = append(lost, r) }
	p, err := l.progress()
	if err != nil {
		t.Fatal(err)
	}
	events = make(map[uint64]uuid.UUID)
	for index := p.Stored + 1; index <= l.last; index++ {
		e, _, err := l.read(index)
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		number := e.first
		err = ReadEvents(e.events, func(e *schema.Event) error {
			if number > w.stored {
				events[number] = e.ID
			}
			number++
			return nil
		})
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		if number != e.next() {
			t.Fatalf("entry %d has %d events, says %d", index, number-e.first, e.count)
		}
	}
	data := appendEvent(make([]byte, entryHeader), &schema.Event{ID: uuid.New(), Entry: 1})
	sealEntry(data, l.next, 1)
	if _, err := l.append(data); err != nil {
		t.Fatalf("it takes no more: %v", err)
	}
	return events, lost
}

// unsynced is a disk for tests that look at what is written, and not at when.
type unsynced struct{ types.VFS }

type unsyncedFile struct{ types.WritableFile }

func (unsyncedFile) Sync() error { return nil }

func (d unsynced) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	return unsyncedFile{f}, err
}

func (d unsynced) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	return unsyncedFile{f}, err
}

// A write that ended at any byte takes nothing with it but itself.
func TestTornLastEntryIsCutOff(t *testing.T) {
	whole := writeLog(t)
	segments := whole.segments(t)
	newest := filepath.Base(segments[len(segments)-1])
	all, end := places(t, segments[len(segments)-1])
	last := all[len(all)-1]
	for cut := last.from - frameHeader; cut < end; cut++ {
		for _, zeros := range []bool{cut%2 == 0} {
			w := whole.copied(t)
			path := filepath.Join(w.dir, "wal", newest)
			if err := os.Truncate(path, cut); err != nil {
				t.Fatal(err)
			}
			if zeros {
				if err := os.Truncate(path, 1500); err != nil {
					t.Fatal(err)
				}
			}
			events, lost := w.readLog(t)
			inCommit := cut > end-frameHeader && len(events) == writtenRest // the entry is whole
			if len(lost) > 0 || len(events) != writtenRest-1 && !inCommit {
				t.Errorf("cut off at %d (zeros: %v): %d events are left, want %d; lost %v",
					cut, zeros, len(events), writtenRest-1, lost)
			}
			os.RemoveAll(w.dir)
		}
	}
}

// Wherever a few bytes change, what is left is what was written, and the rest is said to be lost.
func TestRandomDamageIsNamed(t *testing.T) {
	whole := writeLog(t)
	random := rand.New(rand.NewPCG(5, 8))
	for round := range 150 {
		w := whole.copied(t)
		segments := w.segments(t)
		said := ""
		for range 1 + random.IntN(3) {
			path := segments[random.IntN(len(segments))]
			_, end := places(t, path)
			off := random.Int64N(end)
			n := int64(1 << random.IntN(8))
			for i := off; i < min(off+n, end); i++ {
				flip(t, path, i, random.IntN(8))
			}
			said += fmt.Sprintf("%s: %d bytes at %d; ", filepath.Base(path), n, off)
		}
		if random.IntN(4) == 0 {
			for _, dir := range []string{w.dir, filepath.Join(w.dir, "wal")} {
				if err := os.Remove(filepath.Join(dir, checkpointName)); err != nil {
					t.Fatal(err)
				}
			}
			said += "no checkpoint; "
		}
		events, lost := w.readLog(t)
		for number, id := range events {
			if w.events[number] != id {
				t.Fatalf("round %d, %s: event %d is not as it was written", round, said, number)
			}
		}
		for number := range w.events {
			if _, ok := events[number]; !ok && !named(lost, number) {
				t.Errorf("round %d, %s: event %d is gone; lost %v", round, said, number, lost)
			}
		}
		for _, r := range lost {
			for number := range events {
				if !r.open && r.first <= number && number <= r.last {
					t.Errorf("round %d, %s: event %d is there and said to be lost",
						round, said, number)
				}
			}
		}
		os.RemoveAll(w.dir)
	}
}

func named(lost []lostRun, number uint64) bool {
	for _, r := range lost {
		if r.first <= number && (number <= r.last || r.open || r.events() == 0) {
			return true
		}
	}
	return false
}
