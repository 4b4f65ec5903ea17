package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// written is a log as a killed process left it: the first events are stored, the rest were
// acknowledged and are not, and two batches of them may have been tried.
type written struct {
	dir    string
	node   uuid.UUID
	events map[uint64]uuid.UUID // of the ones not stored, by sequence
	stored uint64               // sequence of the newest stored event
}

const (
	writtenStored = 12
	writtenRest   = 60
)

// writeLog makes a log of about ten segments.
func writeLog(t testing.TB) written {
	t.Helper()
	down := false
	var mu sync.Mutex
	c := testConfig(t.TempDir(), &tap{before: func(int, string) error {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return errors.New("down")
		}
		return nil
	}})
	c.segment, c.BatchRowsMax = 1500, 5
	in := mustOpen(t, c)
	in.Start()
	w := written{dir: c.Dir, node: in.Node(), events: make(map[uint64]uuid.UUID)}
	for range writtenStored {
		record(t, in, event(""))
	}
	flush(t, in)
	w.stored = writtenStored
	mu.Lock()
	down = true
	mu.Unlock()
	for i := range writtenRest {
		key := fmt.Sprint("key ", i)
		record(t, in, event(key))
		w.events[w.stored+uint64(i)+1] = schema.EventID(organization, key)
	}
	waitFor(t, func() bool {
		p, err := in.log.progress()
		return err == nil && len(p.Fixed) == 2
	})
	abandon(in)
	return w
}

// copied returns the log in another place.
func (w written) copied(t testing.TB) written {
	t.Helper()
	w.dir = copyDir(t, w.dir)
	return w
}

// segments returns the paths of the log's segments, oldest first, without the empty newest.
func (w written) segments(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, "wal", "*.wal"))
	if err != nil || len(all) < 6 {
		t.Fatalf("segments %q, %v", all, err)
	}
	return all
}

// opened is what a start made of a damaged log.
type opened struct {
	events map[uint64]uuid.UUID // that it will send
	lost   [][2]uint64          // sequences that it said are lost
	open   bool                 // and that there may be more
	said   string               // its log, at warn level and above
	bytes  int                  // kept aside
}

// open starts a node on the log, has it store everything and take one more event, and checks what
// holds whatever the damage: it serves, each event is sent once, and is as it was written.
func (w written) open(t testing.TB) opened {
	t.Helper()
	var said bytes.Buffer
	store := &tap{}
	c := testConfig(w.dir, store)
	c.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c.segment, c.InsertTimeout = 1500, 1
	c.Ledger = asked{store, w.stored}
	in := mustOpen(t, c)
	o := opened{events: make(map[uint64]uuid.UUID)}
	p, err := in.log.progress()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uuid.UUID]bool)
	for index := p.Stored + 1; index <= in.log.last; index++ {
		e, _, err := in.log.read(index)
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		r := reader{rest: e.events}
		for i := range e.count {
			var got schema.Event
			if _, err := r.event(&got); err != nil {
				t.Fatalf("entry %d: %v", index, err)
			}
			if e.first+i <= w.stored {
				continue // the ledger is asked about it
			}
			if seen[got.ID] {
				t.Errorf("event %d is sent twice", e.first+i)
			}
			seen[got.ID] = true
			o.events[e.first+i] = got.ID
		}
	}
	in.Start()
	record(t, in, event("one more"))
	flush(t, in)
	stop(t, in)
	if _, rows := store.stored(); rows != len(o.events)+1 {
		t.Errorf("%d rows are stored, want the %d that can be read and a new one",
			rows, len(o.events))
	}
	aside, err := Aside(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range aside {
		if s.Kind == KindDamage {
			o.lost = append(o.lost, [2]uint64{s.First, s.Last})
			o.open = o.open || strings.Contains(s.Error, "there may have been more")
			_, parts, err := readAside(s.Path)
			if err != nil {
				t.Fatal(err)
			}
			o.bytes += len(bytes.Join(parts, nil))
		}
	}
	o.said = said.String()
	if in.Node() != w.node {
		t.Errorf("the node is %s now, was %s", in.Node(), w.node)
	}
	return o
}

// check says that what was written is either as it was or said to be lost.
func (o opened) check(t testing.TB, w written) {
	t.Helper()
	want := maps.Clone(w.events)
	for _, run := range o.lost {
		for s := run[0]; s <= run[1] && s-run[0] < 1000; s++ {
			delete(want, s)
		}
		if o.open {
			maps.DeleteFunc(want, func(s uint64, _ uuid.UUID) bool { return s >= run[0] })
		}
	}
	if diff := cmp.Diff(want, o.events); diff != "" {
		t.Errorf("lost %v; of the rest (-want +got):\n%s\nsaid: %s", o.lost, diff, o.said)
	}
}

func flip(t testing.TB, path string, off int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}

// places returns where a segment's entries are.
func places(t testing.TB, path string) (all []segmentEntry, end int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan, err := scanSegment(f, base(t, path), func(e segmentEntry) error {
		e.data = bytes.Clone(e.data)
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, scan.written
}

// base returns the index that a segment begins with.
func base(t testing.TB, path string) (index uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(filepath.Base(path), "%020d-", &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// sequences returns the sequences of a segment's events.
func sequences(t testing.TB, path string) (first, last uint64) {
	t.Helper()
	all, _ := places(t, path)
	first, _ = entryBounds(all[0].data)
	from, n := entryBounds(all[len(all)-1].data)
	return first, from + n - 1
}

// Each damage, what of the log survives it, and what the operator is told. Without a look at the
// segment that is written to (settle) 8 rows fail, without the search of a whole segment 13, and
// with any version of the checkpoint that is whole taken for the newest that row does.
func TestLogSurvivesDamage(t *testing.T) {
	whole := writeLog(t)
	checkpoints := []string{
		filepath.Join("wal", checkpointName), checkpointName,
	}
	f := func(name string, damage func(t *testing.T, w written) (lost [][2]uint64), says string) {
		t.Run(name, func(t *testing.T) {
			w := whole.copied(t)
			lost := damage(t, w)
			o := w.open(t)
			if o.open && len(o.lost) == 1 && len(lost) == 1 {
				lost[0][1] = o.lost[0][1] // how far it went is not known
			}
			if diff := cmp.Diff(lost, o.lost); diff != "" {
				t.Errorf("said to be lost (-want +got):\n%s", diff)
			}
			o.check(t, w)
			if !strings.Contains(o.said, says) || says == "" && o.said != "" {
				t.Errorf("said %q, want %q", o.said, says)
			}
		})
	}
	const lostSays = "acknowledged events are lost"
	f("none", func(*testing.T, written) [][2]uint64 { return nil }, "")
	missing := func(pick func(all []string) string) func(*testing.T, written) [][2]uint64 {
		return func(t *testing.T, w written) [][2]uint64 {
			path := pick(w.segments(t))
			first, last := sequences(t, path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if last <= w.stored {
				return nil
			}
			return [][2]uint64{{max(first, w.stored+1), last}}
		}
	}
	f("first segment is missing", missing(func(all []string) string { return all[0] }), lostSays)
	f("middle segment is missing", missing(func(all []string) string { return all[len(all)/2] }),
		lostSays)
	// Of the newest the checkpoint does not say how far it went.
	f("newest segment is missing", missing(func(all []string) string {
		if found, _ := places(t, all[len(all)-1]); len(found) > 0 {
			return all[len(all)-1]
		}
		t.Fatal("the newest segment is empty")
		return ""
	}), lostSays)
	flipped := func(pick func(all []string) (path string, off int64, lost [][2]uint64),
	) func(*testing.T, written) [][2]uint64 {
		return func(t *testing.T, w written) [][2]uint64 {
			path, off, lost := pick(w.segments(t))
			flip(t, path, off, 3)
			return lost
		}
	}
	inEntry := func(segment, entry int, off int64) func(*testing.T, written) [][2]uint64 {
		return flipped(func(all []string) (string, int64, [][2]uint64) {
			path := all[(segment+len(all))%len(all)]
			found, _ := places(t, path)
			e := found[(entry+len(found))%len(found)]
			first, n := entryBounds(e.data)
			if off < 0 || first+n-1 <= whole.stored { // a frame's, or what is stored
				return path, e.from + off, nil
			}
			return path, e.from + off, [][2]uint64{{first, first + n - 1}}
		})
	}
	f("flipped bit in an unsent entry", inEntry(5, 1, 40), lostSays)
	f("flipped bit in an unsent entry's index", func(t *testing.T, w written) [][2]uint64 {
		inEntry(5, 1, 0)(t, w)
		return nil
	}, "")
	f("flipped bit in an unsent entry's frame", inEntry(5, 1, -4), "")
	f("flipped bit in a stored entry", inEntry(0, 0, 40), "nothing is lost")
	f("flipped bit in the newest entry", inEntry(-1, -1, 40), lostSays)
	f("flipped bit in the newest entry's frame", inEntry(-1, -1, -4), "")
	f("flipped bit in an older entry of the newest segment", inEntry(-1, 0, 40), lostSays)
	f("flipped bit in a segment's header", flipped(func(all []string) (string, int64, [][2]uint64) {
		return all[5], 9, nil
	}), "")
	f("flipped bit in the newest segment's header",
		flipped(func(all []string) (string, int64, [][2]uint64) {
			return all[len(all)-1], 9, nil
		}), "")
	f("flipped bit in a segment's index", flipped(func(all []string) (string, int64, [][2]uint64) {
		_, end := places(t, all[5])
		return all[5], end - 16, nil
	}), "")
	f("flipped bit in the newest commit", flipped(func(all []string) (string, int64, [][2]uint64) {
		_, end := places(t, all[len(all)-1])
		return all[len(all)-1], end - 2, nil
	}), "")
	for i, name := range []string{"inner", "outer"} {
		f(name+" checkpoint is missing", func(t *testing.T, w written) [][2]uint64 {
			if err := os.Remove(filepath.Join(w.dir, checkpoints[i])); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "a copy of the log's checkpoint was damaged")
		f(name+" checkpoint is cut off", func(t *testing.T, w written) [][2]uint64 {
			if err := os.Truncate(filepath.Join(w.dir, checkpoints[i]), 100); err != nil {
				t.Fatal(err)
			}
			return nil
		}, "a copy of the log's checkpoint was damaged")
	}
	both := func(damage func(path string) error) func(*testing.T, written) [][2]uint64 {
		return func(t *testing.T, w written) [][2]uint64 {
			for _, name := range checkpoints {
				if err := damage(filepath.Join(w.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			return nil
		}
	}
	f("both checkpoints are missing", both(os.Remove), "checkpoint is lost")
	f("both checkpoints are cut off",
		both(func(path string) error { return os.Truncate(path, 10) }), "checkpoint is lost")
	f("both checkpoints are flipped", func(t *testing.T, w written) [][2]uint64 {
		for _, name := range checkpoints {
			flip(t, filepath.Join(w.dir, name), 60, 1)
			flip(t, filepath.Join(w.dir, name), slotBytes+60, 1)
		}
		return nil
	}, "checkpoint is lost")
	// The version before is whole in both, and says of batches that were tried that none was.
	f("newest version is flipped in both checkpoints", both(func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		older, _, _ := readSlot(b[:slotBytes])
		newer, _, _ := readSlot(b[slotBytes:])
		off := int64(60)
		if newer > older {
			off += slotBytes
		}
		flip(t, path, off, 1)
		return nil
	}), "checkpoint is lost")
	f("both checkpoints and a segment are missing", func(t *testing.T, w written) [][2]uint64 {
		both(os.Remove)(t, w)
		return missing(func(all []string) string { return all[len(all)/2] })(t, w)
	}, "acknowledged events are lost")
	f("empty directory", func(t *testing.T, w written) [][2]uint64 {
		if err := os.RemoveAll(filepath.Join(w.dir, "wal")); err != nil {
			t.Fatal(err)
		}
		return [][2]uint64{{w.stored + 1, w.stored + writtenRest}}
	}, lostSays)
}

// asked is a ledger that has the events up to a sequence.
type asked struct {
	*tap
	stored uint64
}

func (a asked) BatchSequences(
	_ context.Context, p queries.BatchSequencesParams,
) (map[uint64]struct{}, error) {
	stored := make(map[uint64]struct{})
	for s := p.First; s <= min(p.Last, a.stored); s++ {
		stored[s] = struct{}{}
	}
	return stored, nil
}
