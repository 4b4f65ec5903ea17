package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// keyed sends events with keys and returns how many were accepted.
func keyed(t *testing.T, in *Ingest, keys ...string) int {
	t.Helper()
	var events []schema.Event
	for _, key := range keys {
		events = append(events, event(key))
	}
	receipt, err := in.Record(context.Background(), events, false)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Accepted+receipt.Duplicates != len(keys) {
		t.Fatalf("receipt %+v of %d events", receipt, len(keys))
	}
	return receipt.Accepted
}

// logBegins returns the index of the log's oldest entry.
func logBegins(t *testing.T, in *Ingest) uint64 {
	t.Helper()
	first, err := in.log.firstIndex()
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// A key counts once when its event has left the log before the process ends, however it ends.
// Seen to fail with the keys in memory only; with the log truncated to what is stored; and with
// recover reading from there.
func TestStoredKeysAreKnownAfterRestart(t *testing.T) {
	for _, end := range []struct {
		name string
		stop func(t *testing.T, in *Ingest)
	}{
		{"in order", func(t *testing.T, in *Ingest) { stop(t, in) }},
		{"killed", func(_ *testing.T, in *Ingest) { abandon(in) }},
	} {
		t.Run(end.name, func(t *testing.T) {
			store := &tap{}
			c := testConfig(t.TempDir(), store)
			c.keysRecent = 8
			var keys []string
			for round := range 4 {
				in := mustOpen(t, c)
				in.Start()
				if n := keyed(t, in, keys...); n != 0 {
					t.Errorf("round %d: %d of %d known keys count again", round, n, len(keys))
				}
				for range 30 {
					key := fmt.Sprint(len(keys))
					keys = append(keys, key)
					if keyed(t, in, key) != 1 {
						t.Errorf("round %d: new key %s is a duplicate", round, key)
					}
					flush(t, in)
				}
				if round == 3 {
					waitFor(t, func() bool { return in.keys.Durable() > 20 })
					keyed(t, in, "one more", "")
					flush(t, in)
					if logBegins(t, in) < 10 {
						t.Errorf("the log begins at %d: it is not given back", logBegins(t, in))
					}
				}
				end.stop(t, in)
			}
			if _, rows := store.stored(); rows != len(keys)+2 {
				t.Errorf("%d rows stored, want %d", rows, len(keys)+2)
			}
		})
	}
}

func TestKeyCountsAnewAfterTheWindow(t *testing.T) {
	var hours atomic.Int64
	began := time.Now()
	c := testConfig(t.TempDir(), &tap{})
	c.Window = 24 * time.Hour
	c.Now = func() time.Time { return began.Add(time.Duration(hours.Load()) * time.Hour) }
	in := mustOpen(t, c)
	in.Start()
	f := func(at int64, want int) {
		t.Helper()
		hours.Store(at)
		if got := keyed(t, in, "a"); got != want {
			t.Errorf("after %d hours %d accepted, want %d", at, got, want)
		}
	}
	f(0, 1)
	f(23, 0)
	flush(t, in)
	stop(t, in)
	in = mustOpen(t, c)
	in.Start()
	f(23, 0)
	f(-100, 0)
	f(24, 1)
	f(47, 0)
	stop(t, in)
}

// With a disk that takes no keys they stay in memory and the log keeps its entries; at the bound
// writers are told to wait; when there is room again everything goes on and nothing is forgotten.
// Seen to fail with Full left out of ready.
func TestKeysThatCannotBeWrittenHaveABound(t *testing.T) {
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.keysRecent = 8
	in := mustOpen(t, c)
	in.Start()
	folder := filepath.Join(c.Dir, "keys")
	away := folder + "-away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var refusal error
	for refusal == nil && len(keys) < 1000 {
		key := fmt.Sprint(len(keys))
		events := []schema.Event{event(key)}
		if _, refusal = in.Record(context.Background(), events, false); refusal == nil {
			keys = append(keys, key)
		}
	}
	var e *schema.Error
	if !errors.As(refusal, &e) || e.Kind != schema.Overloaded || e.RetryAfter < time.Second {
		t.Fatalf("after %d keys %#v, want Overloaded with a time to retry", len(keys), refusal)
	}
	flush(t, in)
	if begins := logBegins(t, in); begins > 1 {
		t.Errorf("the log begins at %d although no key is on disk", begins)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return in.Ready() == nil })
	if n := keyed(t, in, keys...); n != 0 {
		t.Errorf("%d of %d keys count again", n, len(keys))
	}
	stop(t, in)
	in = mustOpen(t, c)
	in.Start()
	if n := keyed(t, in, keys...); n != 0 {
		t.Errorf("%d of %d keys count again after a restart", n, len(keys))
	}
	stop(t, in)
}

// A group that fails gives back exactly the keys it made known.
func TestFailedGroupForgetsItsKeysOnly(t *testing.T) {
	d := newDisk()
	c := testConfig(t.TempDir(), &tap{})
	c.disk = d
	in := mustOpen(t, c)
	in.Start()
	keyed(t, in, "old")
	d.failed.Store(true)
	events := []schema.Event{event("new"), event("old"), event(""), event("new"), event("newer")}
	if _, err := in.Record(context.Background(), events, false); err == nil {
		t.Fatal("accepted on a failing disk")
	}
	d.failed.Store(false)
	waitFor(t, func() bool { return in.Ready() == nil })
	if n := keyed(t, in, "old", "new", "newer", "new"); n != 2 {
		t.Errorf("%d accepted, want the 2 that were not before", n)
	}
	stop(t, in)
}
