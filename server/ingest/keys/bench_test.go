package keys

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// How many keys the benchmarks are about, and where: with 100,000,000 in a folder of their own,
//
//	go test ./server/ingest/keys -run TestFill -fill 100000000 -dir /data/keys -timeout 30m
//
// leaves what a node with that many keys has, and
//
//	go test ./server/ingest/keys -run - -bench . -fill 100000000 -dir /data/keys
//
// measures with it. To prefill a node, fill the folder keys of its data directory before its first
// start: the store takes what it finds for keys of another log, and knows them.
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

// used returns the store of the benchmarks: the filled folder, or a new one.
func used(b *testing.B) *Store {
	b.Helper()
	dir := *fillDir
	if dir == "" {
		dir = b.TempDir()
		s := filled(b, dir, *fill)
		if err := errors.Join(s.Flush(context.Background()), s.Close()); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	s := mustOpen(b, quiet(dir))
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-open")
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// cpu is the processor time of the process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report tells the processor time of a key and the memory of the store and the process.
func report(b *testing.B, s *Store, spent time.Duration) {
	b.Helper()
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(s.Stats().MemoryBytes>>20), "MiB")
	b.ReportMetric(float64(s.Stats().Runs), "runs")
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return // not Linux
	}
	if _, rest, ok := strings.Cut(string(status), "VmRSS:"); ok {
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err == nil {
			b.ReportMetric(float64(kib>>10), "MiB-resident")
		}
	}
}

// each calls do with groups of n keys in all.
func each(n int, key func(int) uuid.UUID, do func([]uuid.UUID)) {
	ids := make([]uuid.UUID, 0, 500)
	for i := range n {
		ids = append(ids, key(i))
		if len(ids) == cap(ids) || i == n-1 {
			do(ids)
			ids = ids[:0]
		}
	}
}

// A retry of a key that was accepted any time in the window.
func BenchmarkKnownKey(b *testing.B) {
	s := used(b)
	var known []int
	now, before := time.Now(), cpu(b)
	b.ResetTimer()
	each(b.N, func(int) uuid.UUID { return idOf(uint64(rand.IntN(*fill))) }, func(ids []uuid.UUID) {
		if known = s.AddAll(ids, now, known[:0]); len(known) != len(ids) {
			b.Fatalf("%d of %d keys are known", len(known), len(ids))
		}
	})
	report(b, s, cpu(b)-before)
}

// A key that is new, with its share of writing and merging: -benchtime 5000000x is some of each.
func BenchmarkNewKey(b *testing.B) {
	s := used(b)
	s.Start()
	var known []int
	first, index := rand.Uint64(), uint64(0)
	before := cpu(b)
	b.ResetTimer()
	each(b.N, func(i int) uuid.UUID { return idOf(first + uint64(i)) }, func(ids []uuid.UUID) {
		if known = s.AddAll(ids, time.Now(), known[:0]); len(known) > 0 {
			b.Fatalf("%d new keys are known", len(known))
		}
		index++
		s.Committed(index)
	})
	b.StopTimer()
	if err := s.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	report(b, s, cpu(b)-before)
}
