package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

func TestAckWaitsForSync(t *testing.T) {
	release := make(chan struct{})
	d := newDisk()
	c := testConfig(t.TempDir(), &tap{})
	c.disk = d
	in := mustOpen(t, c)
	d.onSync = func() error { <-release; return nil }
	in.Start()
	done := make(chan error, 1)
	go func() {
		_, err := in.Record(context.Background(), []schema.Event{event("")}, false)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("acknowledged (%v) before the sync returned", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	stop(t, in)
}

// What is acknowledged is in the files at that moment: they are copied after each ack and opened
// as after a crash.
func TestAcknowledgedEventsSurviveAsOnDisk(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir, &tap{before: func(int, string) error { return errors.New("down") }})
	in := mustOpen(t, c)
	in.Start()
	for n := 1; n <= 5; n++ {
		record(t, in, event(""), event(""))
		recovered := &tap{}
		again := mustOpen(t, testConfig(copyDir(t, dir), recovered))
		if got := again.Pending(); got != int64(2*n) {
			t.Fatalf("%d events in the log after %d acks of 2", got, n)
		}
		again.Start()
		flush(t, again)
		stop(t, again)
		if _, rows := recovered.stored(); rows != 2*n {
			t.Fatalf("%d rows stored after recovery, want %d", rows, 2*n)
		}
	}
	abandon(in)
}

func TestConcurrentRecordsShareSyncs(t *testing.T) {
	d := newDisk()
	c := testConfig(t.TempDir(), &tap{})
	c.disk = d
	in := mustOpen(t, c)
	d.onSync = func() error { time.Sleep(time.Millisecond); return nil }
	in.Start()
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				record(t, in, event(""))
			}
		})
	}
	wg.Wait()
	if n := d.syncs.Load(); n > writers*each/4 {
		t.Errorf("%d syncs for %d requests", n, writers*each)
	}
	flush(t, in)
	stop(t, in)
}

func TestBatchIsClosedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tap{}
		c := testConfig(t.TempDir(), store)
		c.BatchAge = 300 * time.Millisecond
		in := mustOpen(t, c)
		in.Start()
		record(t, in, event(""))
		time.Sleep(299 * time.Millisecond)
		synctest.Wait()
		if _, rows := store.stored(); rows != 0 {
			t.Error("stored before its age")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, rows := store.stored(); rows != 1 {
			t.Error("not stored at its age")
		}
		stop(t, in)
	})
}

func TestBatchIsClosedByRows(t *testing.T) {
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.BatchAge, c.BatchRowsMax = time.Hour, 10
	in := mustOpen(t, c)
	in.Start()
	for range 25 {
		record(t, in, event(""))
	}
	deadline := time.Now().Add(5 * time.Second)
	for in.Pending() >= 10 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if _, rows := store.stored(); rows < 16 {
		t.Errorf("%d of 25 rows stored although batches of 10 were full", rows)
	}
	stop(t, in)
	if _, rows := store.stored(); rows != 25 {
		t.Errorf("%d rows stored after the stop, want 25", rows)
	}
}

func TestFlushHurries(t *testing.T) {
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.BatchAge = time.Hour
	in := mustOpen(t, c)
	in.Start()
	receipt, err := in.Record(context.Background(), []schema.Event{event("")}, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := in.WaitStored(ctx, receipt.Sequence); err != nil {
		t.Fatal(err)
	}
	if _, rows := store.stored(); rows != 1 {
		t.Errorf("%d rows stored, want 1", rows)
	}
	stop(t, in)
}

// The store takes the batch, then the answer is lost: every retry is under the token of the first
// try, also the one after a crash, although more events came in between.
func TestRetriesKeepTheirToken(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var seen []string
	lost := func(_ int, token string) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, token)
		return errors.New("connection reset")
	}
	c := testConfig(dir, &tap{after: lost})
	c.nonce = nonces(1)
	in := mustOpen(t, c)
	in.Start()
	record(t, in, event(""), event(""))
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) >= 2 })
	record(t, in, event(""))
	abandon(in)

	second := &tap{}
	c = testConfig(dir, second)
	c.nonce = nonces(2)
	in = mustOpen(t, c)
	in.Start()
	flush(t, in)
	stop(t, in)
	want := []string{
		fmt.Sprintf("%s:1-2:0000000000000001", in.Node()),
		fmt.Sprintf("%s:3-3:0000000000000002", in.Node()),
	}
	for _, token := range seen {
		if !slices.Contains(want, token) {
			t.Fatalf("tokens %q differ between tries", seen)
		}
	}
	tokens, rows := second.stored()
	slices.Sort(tokens) // two are in flight
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Errorf("tokens after the crash (-want +got):\n%s", diff)
	}
	if rows != 3 {
		t.Errorf("%d rows, want 3", rows)
	}
}

// nonces counts up from first.
func nonces(first uint64) func() uint64 {
	var n atomic.Uint64
	n.Store(first - 1)
	return func() uint64 { return n.Add(1) }
}

func waitFor(t testing.TB, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSequencesGoOnAfterRestart(t *testing.T) {
	dir := t.TempDir()
	var tokens []string
	for range 3 {
		store := &tap{}
		in := mustOpen(t, testConfig(dir, store))
		in.Start()
		record(t, in, event(""), event(""))
		flush(t, in)
		stop(t, in)
		got, _ := store.stored()
		for _, token := range got {
			bounds, _, _ := strings.Cut(token[len(in.Node().String())+1:], ":")
			tokens = append(tokens, bounds)
		}
	}
	if diff := cmp.Diff([]string{"1-2", "3-4", "5-6"}, tokens); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
}

func TestDuplicatesAreAcknowledgedOnce(t *testing.T) {
	store := &tap{}
	in := mustOpen(t, testConfig(t.TempDir(), store))
	in.Start()
	f := func(wantAccepted, wantDuplicates int, events ...schema.Event) {
		t.Helper()
		receipt, err := in.Record(context.Background(), events, false)
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Accepted != wantAccepted || receipt.Duplicates != wantDuplicates {
			t.Errorf("receipt %+v, want %d accepted and %d duplicates",
				receipt, wantAccepted, wantDuplicates)
		}
	}
	f(1, 0, event("a"))
	f(0, 1, event("a"))
	f(3, 2, event("b"), event(""), event("b"), event("a"), event(""))
	other := event("a")
	other.Organization[0]++
	f(1, 0, other)
	flush(t, in)
	stop(t, in)
	if _, rows := store.stored(); rows != 5 {
		t.Errorf("%d rows stored, want 5", rows)
	}
}

func TestPendingKeysAreKnownAfterRestart(t *testing.T) {
	dir := t.TempDir()
	in := mustOpen(t, testConfig(dir, &tap{
		before: func(int, string) error { return errors.New("down") },
	}))
	in.Start()
	record(t, in, event("a"))
	abandon(in)
	in = mustOpen(t, testConfig(dir, &tap{}))
	in.Start()
	receipt, err := in.Record(context.Background(), []schema.Event{event("a")}, false)
	if err != nil || receipt.Duplicates != 1 {
		t.Errorf("receipt %+v, %v, want a duplicate", receipt, err)
	}
	stop(t, in)
}

func TestRejectionsNameTheirEvent(t *testing.T) {
	store := &tap{}
	in := mustOpen(t, testConfig(t.TempDir(), store))
	in.Start()
	bad := event("")
	bad.Measurements[0].Quantity = schema.WholeQuantity(-1)
	events := []schema.Event{event(""), bad, event("")}
	receipt, err := in.Record(context.Background(), events, false)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Accepted != 2 || len(receipt.Rejected) != 1 || receipt.Rejected[0].Index != 1 ||
		receipt.Rejected[0].Err.Field != "usage.INPUT" {
		t.Errorf("receipt %+v", receipt)
	}
	receipt, err = in.Record(context.Background(), events, true)
	if err != nil || receipt.Accepted != 0 || len(receipt.Rejected) != 1 {
		t.Errorf("atomic receipt %+v, %v, want nothing accepted", receipt, err)
	}
	flush(t, in)
	stop(t, in)
	if _, rows := store.stored(); rows != 2 {
		t.Errorf("%d rows stored, want 2", rows)
	}
}

func TestFullLogRefusesWholeRequests(t *testing.T) {
	down := errors.New("down")
	var mu sync.Mutex
	store := &tap{before: func(int, string) error { mu.Lock(); defer mu.Unlock(); return down }}
	c := testConfig(t.TempDir(), store)
	c.LogBytesMax = 2000
	in := mustOpen(t, c)
	in.Start()
	accepted := 0
	var refusal error
	for range 1000 {
		receipt, err := in.Record(context.Background(), []schema.Event{event(""), event("")}, false)
		if err != nil {
			refusal = err
			break
		}
		accepted += receipt.Accepted
	}
	var e *schema.Error
	if !errors.As(refusal, &e) || e.Kind != schema.Overloaded || e.RetryAfter < time.Second {
		t.Fatalf("refusal %#v, want Overloaded with a time to retry", refusal)
	}
	if in.Ready() == nil {
		t.Error("ready although full")
	}
	mu.Lock()
	down = nil
	mu.Unlock()
	flush(t, in)
	if err := in.Ready(); err != nil {
		t.Errorf("not ready after it drained: %v", err)
	}
	record(t, in, event(""))
	flush(t, in)
	stop(t, in)
	if _, rows := store.stored(); rows != accepted+1 {
		t.Errorf("%d rows stored, want the %d accepted", rows, accepted+1)
	}
}

func TestFailingDiskRefusesAndHeals(t *testing.T) {
	d := newDisk()
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.disk = d
	in := mustOpen(t, c)
	in.Start()
	record(t, in, event("kept"))
	d.failed.Store(true)
	for range 3 {
		_, err := in.Record(context.Background(), []schema.Event{event("lost")}, false)
		if schema.KindOf(err) != schema.Unavailable {
			t.Fatalf("error %v on a failing disk, want Unavailable", err)
		}
	}
	if in.Ready() == nil {
		t.Error("ready on a failing disk")
	}
	d.failed.Store(false)
	waitFor(t, func() bool { return in.Ready() == nil })
	record(t, in, event("lost")) // not a duplicate: nothing was accepted
	flush(t, in)
	stop(t, in)
	if _, rows := store.stored(); rows != 2 {
		t.Errorf("%d rows stored, want 2", rows)
	}
}

// A sync that failed may still have written: the entry must not come back after its writers were
// told that nothing was accepted.
func TestUnacknowledgedEntryIsCutOff(t *testing.T) {
	d := newDisk()
	store := &tap{}
	dir := t.TempDir()
	c := testConfig(dir, store)
	c.disk = d
	in := mustOpen(t, c)
	in.Start()
	record(t, in, event(""))
	var once sync.Once
	d.onSync = func() (err error) {
		once.Do(func() { err = errDisk })
		return err
	}
	if _, err := in.Record(context.Background(), []schema.Event{event("k")}, false); err == nil {
		t.Fatal("acknowledged although the sync failed")
	}
	waitFor(t, func() bool { return in.Ready() == nil })
	record(t, in, event("k"))
	flush(t, in)
	abandon(in)
	in = mustOpen(t, testConfig(dir, store))
	in.Start()
	flush(t, in)
	stop(t, in)
	if tokens, rows := store.stored(); rows != 2 {
		t.Errorf("%d rows stored under %q, want 2", rows, tokens)
	}
}

func TestStopStoresWhatItCan(t *testing.T) {
	store := &tap{}
	c := testConfig(t.TempDir(), store)
	c.BatchAge = time.Hour
	in := mustOpen(t, c)
	in.Start()
	record(t, in, event(""), event(""))
	stop(t, in)
	if _, rows := store.stored(); rows != 2 {
		t.Errorf("%d rows stored by the stop, want 2", rows)
	}
	_, err := in.Record(context.Background(), []schema.Event{event("")}, false)
	if schema.KindOf(err) != schema.Unavailable {
		t.Errorf("error %v after the stop, want Unavailable", err)
	}
}

func TestStopEndsWhileTheDatabaseIsDown(t *testing.T) {
	dir := t.TempDir()
	in := mustOpen(t, testConfig(dir, &tap{
		before: func(int, string) error { return errors.New("down") },
	}))
	in.Start()
	record(t, in, event(""))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, testConfig(dir, &tap{}))
	if again.Pending() != 1 {
		t.Errorf("%d events left in the log, want 1", again.Pending())
	}
	again.Start()
	stop(t, again)
}

func TestLogOfAnotherProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	in := mustOpen(t, testConfig(dir, &tap{}))
	in.Start()
	if _, err := Open(testConfig(dir, &tap{})); err == nil {
		t.Error("opened twice")
	}
	stop(t, in)
}
