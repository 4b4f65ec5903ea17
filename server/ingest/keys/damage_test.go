package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// flip changes a byte of a file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 0x10
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newest returns the path of a run and its header.
func newest(t *testing.T, dir string) (string, header) {
	t.Helper()
	runs := slices.DeleteFunc(names(dir), func(n string) bool { return runNumber(n) == 0 })
	if len(runs) == 0 {
		t.Fatal("no runs")
	}
	path := filepath.Join(dir, runs[len(runs)-1])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := decodeHeader(data, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return path, h
}

// damaged makes a store of some runs, damages it while nobody has it open, and opens it with its
// log gone: what is lost can come from the database only.
func damaged(t *testing.T, damage func(dir string)) (*world, *bytes.Buffer) {
	t.Helper()
	w := newWorld(t)
	w.recentMax = 1000 // more than a page
	w.close()
	w.open(-1, 0)
	for range 3 {
		var ids []uuid.UUID
		for range 400 {
			ids = append(ids, w.fresh())
		}
		w.commit(w.add(ids...)...)
		w.learn(peers[0], w.fresh())
		if err := w.store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.cut = uint64(len(w.log))
	w.close()
	damage(w.dir)
	var said bytes.Buffer
	c := quiet(w.dir)
	c.Logger = slog.New(slog.NewTextHandler(&said, nil))
	c.Window, c.RecentMax, c.Node, c.LogLast = testWindow, w.recentMax, self, uint64(len(w.log))
	w.store = mustOpen(t, c)
	return w, &said
}

// count asks for all keys and returns how many are known, as a retry would find out.
func (w *world) count() (known int) {
	for id := range w.known {
		if !w.store.Add(id, w.now) {
			known++
		} else {
			w.store.Forget([]uuid.UUID{id})
		}
	}
	return known
}

// regain learns everything again, as the peers' part of ingest does, and checks that nothing is
// missing then, also after another restart.
func (w *world) regain() {
	w.t.Helper()
	loss := w.store.Lost()
	for node := range w.node {
		if at := w.store.Learned(node); at != 0 {
			w.t.Errorf("learned up to %d after a loss, want 0", at)
		}
		w.learnAll(node)
	}
	w.store.Learn(self, uint64(len(w.log)), slices.Collect(maps.Keys(w.known)), w.now)
	w.check()
	if w.store.Lost() != loss { // meanwhile another page of the same loss was met
		loss = w.store.Lost()
		w.store.Learned(self)
		w.store.Learn(self, uint64(len(w.log)), slices.Collect(maps.Keys(w.known)), w.now)
	}
	w.store.Regained(loss)
	if err := w.store.keeper.merge(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.close()
	w.open(-1, 0)
	if w.store.Lost() != 0 {
		w.t.Error("lost again after a restart")
	}
	w.check()
}

// Whatever becomes of the files, the store opens, says which keys are gone, and has them learned
// again. Seen to fail with: the checksums of header, index, filter and page left out, one by one;
// Lost left out of the manifest.
func TestDamageIsSaidAndMadeGood(t *testing.T) {
	const all, run = 1203, 401
	f := func(name string, wantKnown int, wantLost bool, damage func(dir string)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			w, said := damaged(t, damage)
			if known := w.count(); known != wantKnown {
				t.Errorf("%d keys of %d are known, want %d", known, all, wantKnown)
			}
			if lost := w.store.Lost() != 0; lost != wantLost {
				t.Fatalf("lost %v, want %v; said: %s", lost, wantLost, said)
			}
			if wantLost {
				for _, want := range []string{"level=ERROR", "damaged", "from the database"} {
					if !strings.Contains(said.String(), want) {
						t.Errorf("said %q, want %q in it", said, want)
					}
				}
				// A restart before it is learned again does not forget that.
				if err := errors.Join(w.store.keeper.flush(), w.store.Close()); err != nil {
					t.Fatal(err)
				}
				c := quiet(w.dir)
				c.Window, c.RecentMax, c.Node, c.LogLast = testWindow, 1000, self, uint64(len(w.log))
				if w.store = mustOpen(t, c); w.store.Lost() == 0 {
					t.Error("the loss is forgotten after a restart")
				}
				w.regain()
			}
			w.close()
		})
	}
	edit := func(change func(path string, h header)) func(string) {
		return func(dir string) {
			path, h := newest(t, dir)
			change(path, h)
		}
	}
	f("nothing", all, false, func(string) {})
	f("a torn temporary file", all, false, func(dir string) {
		must(t, os.WriteFile(filepath.Join(dir, runName(99)+temporary), []byte("torn"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, manifestName+temporary), []byte("torn"), 0o600))
	})
	f("a run that no manifest names", all, false, func(dir string) {
		path, _ := newest(t, dir)
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, runName(99)), data, 0o600))
	})
	f("run missing", all-run, true, edit(func(path string, _ header) { must(t, os.Remove(path)) }))
	f("run empty", all-run, true, edit(func(path string, _ header) { must(t, os.Truncate(path, 0)) }))
	f("run cut", all-run, true, edit(func(path string, h header) {
		must(t, os.Truncate(path, h.indexAt))
	}))
	f("header", all-run, true, edit(func(path string, _ header) { flip(t, path, 31) }))
	f("index", all-run, true, edit(func(path string, h header) { flip(t, path, h.indexAt) }))
	f("first page", all-255, true, edit(func(path string, _ header) { flip(t, path, pageBytes+9) }))
	f("a page in another's place", all-255, true, edit(func(path string, h header) {
		data, err := os.ReadFile(path)
		must(t, err)
		copy(data[pageBytes:2*pageBytes], data[2*pageBytes:3*pageBytes])
		must(t, os.WriteFile(path, data, 0o600))
	}))
	f("filter", all, false, edit(func(path string, h header) { flip(t, path, h.filterAt+7) }))
	f("manifest", all, true, func(dir string) { flip(t, filepath.Join(dir, manifestName), 30) })
	f("manifest empty", all, true, func(dir string) {
		must(t, os.Truncate(filepath.Join(dir, manifestName), 0))
	})
	f("manifest gone", all, true, func(dir string) {
		must(t, os.Remove(filepath.Join(dir, manifestName)))
	})
	f("everything gone but one run", run, true, func(dir string) {
		keep, _ := newest(t, dir)
		for _, name := range names(dir) {
			if path := filepath.Join(dir, name); path != keep {
				must(t, os.Remove(path))
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A filter that is damaged is made anew by the next merge.
func TestDamagedFilterIsMadeAnew(t *testing.T) {
	w, said := damaged(t, func(dir string) {
		path, h := newest(t, dir)
		flip(t, path, h.filterAt)
	})
	if w.store.Stats().Unfiltered != 1 {
		t.Errorf("%+v, want one without a filter; said %s", w.store.Stats(), said)
	}
	if err := w.store.keeper.merge(); err != nil {
		t.Fatal(err)
	}
	if st := w.store.Stats(); st.Unfiltered != 0 || st.Runs != 1 {
		t.Errorf("%+v, want one run with a filter", st)
	}
	w.check()
	w.close()
}

// A merge that meets a page it cannot read keeps the rest, and says so.
func TestMergeLeavesOutADamagedPage(t *testing.T) {
	w, said := damaged(t, func(dir string) {
		path, _ := newest(t, dir)
		flip(t, path, 2*pageBytes+100)
	})
	if err := w.store.keeper.merge(); err != nil {
		t.Fatal(err)
	}
	if w.store.Lost() == 0 || !strings.Contains(said.String(), "page=1") {
		t.Errorf("lost %d, said %q", w.store.Lost(), said)
	}
	w.regain()
	w.close()
}

// Nothing that stands in a file makes the reader panic or ask for memory that the file does not
// justify.
func FuzzFiles(f *testing.F) {
	h := header{runInfo: runInfo{Records: 300, From: 1, To: 2}, pages: 2, filterAt: 4 * pageBytes,
		shape: filterShape{2, 6}, indexAt: 4*pageBytes + 128}
	f.Add(h.encode(), int64(4*pageBytes+144))
	m := manifest{Node: self, Durable: 5, Runs: []runInfo{{Name: runName(1), Records: 3}}}
	encoded, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded, int64(0))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		if _, err := decodeManifest(data); err != nil && !errors.Is(err, errDamaged) {
			t.Errorf("manifest: %v", err)
		}
		if len(data) < pageBytes {
			return
		}
		p := data[:pageBytes:pageBytes]
		copy(p, runMagic)
		binary.BigEndian.PutUint32(p[pageBytes-4:], crc32.Checksum(p[:pageBytes-4], castagnoli))
		h, err := decodeHeader(p, size)
		if err != nil {
			return
		}
		if h.pages < 0 || h.Records < 0 || int64(h.pages)*pageBytes > size || h.shape.bytes() > size {
			t.Errorf("%+v of a file of %d bytes", h, size)
		}
	})
}
