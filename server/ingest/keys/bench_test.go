package keys

import (
	"context"
	"encoding/binary"
	"flag"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
)

// How many keys the benchmarks are about, and where: with 100,000,000 in a folder of their own,
//
//	go test ./server/ingest/keys -run TestFill -fill 100000000 -dir /data/keys -timeout 30m
//
// leaves a folder that `serve --data /data` knows them from.
var (
	fill    = flag.Int("fill", 1_000_000, "`keys` to fill a store with")
	fillDir = flag.String("dir", "", "`folder` to fill; empty: a temporary one")
)

// idOf makes the n-th key's id: random bits with version and variant, as of a UUIDv5.
func idOf(n uint64) (id uuid.UUID) {
	x := (n + 1) * 0x9e3779b97f4a7c15
	for i := range 2 {
		x ^= x >> 30
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 27
		x *= 0x94d049bb133111eb
		x ^= x >> 31
		binary.BigEndian.PutUint64(id[8*i:], x)
		x += n
	}
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

func quiet(dir string) Config {
	return Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler), LogLast: 1 << 62}
}

func mustOpen(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// filled returns a store of n keys that were accepted throughout the window, newest last.
func filled(t testing.TB, dir string, n int) *Store {
	t.Helper()
	s := mustOpen(t, quiet(dir))
	s.Start()
	const group = 1000
	ids := make([]uuid.UUID, group)
	var known []int
	now := time.Now()
	for from := 0; from < n; from += group {
		for i := range ids {
			ids[i] = idOf(uint64(from + i))
		}
		at := now.Add(-s.cfg.Window / 100 * time.Duration(99*(n-from)/n))
		if known = s.AddAll(ids, at, known[:0]); len(known) > 0 {
			t.Fatalf("key %d was known before it was added", from+known[0])
		}
		s.Committed(uint64(from + group))
		for s.Full() {
			time.Sleep(time.Millisecond)
		}
	}
	return s
}

func TestFill(t *testing.T) {
	dir := *fillDir
	if dir == "" {
		dir = t.TempDir()
	}
	began := time.Now()
	s := filled(t, dir, *fill)
	took := time.Since(began)
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys: %v, %.0f ns each; %+v", *fill, took,
		float64(took.Nanoseconds())/float64(*fill), s.Stats())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, quiet(dir))
	for range 1000 {
		if n := rand.IntN(*fill); s.Add(idOf(uint64(n)), time.Now()) {
			t.Fatalf("key %d is not known after the store was opened again", n)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
