package ingest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var neighbour = uuid.MustParse("5b1f7c11-0c5e-4c53-8a3d-0e4f6a7b8c9d")

// fairConfig is testConfig with two organizations in the catalog.
func fairConfig(t *testing.T, store Store, perMinute uint32) Config {
	c := testConfig(t.TempDir(), store)
	c.Snapshot = access.NewStatic(access.NewSnapshot(schema.Catalog{
		Organizations: []schema.Organization{
			{ID: organization, Name: "Acme", EventsPerMinute: perMinute},
			{ID: neighbour, Name: "Globex"},
		},
	})).Snapshot
	return c
}

func eventsOf(organization uuid.UUID, n int) []schema.Event {
	all := make([]schema.Event, n)
	for i := range all {
		all[i] = event("")
		all[i].Organization = organization
	}
	return all
}

// overloaded records events and returns how long they should wait; 0 when they were accepted.
func overloaded(t *testing.T, in *Ingest, organization uuid.UUID, n int) time.Duration {
	t.Helper()
	receipt, err := in.Record(context.Background(), eventsOf(organization, n), false)
	if err == nil {
		if receipt.Accepted != n {
			t.Fatalf("%d accepted of %d", receipt.Accepted, n)
		}
		return 0
	}
	var e *schema.Error
	if !errors.As(err, &e) || e.Kind != schema.Overloaded || e.RetryAfter <= 0 {
		t.Fatalf("%#v, want Overloaded with a time to retry", err)
	}
	return e.RetryAfter
}

// TestOrganizationsTakeTurns: one that comes last, behind a hundred large requests of another, is
// in the first group or the second. First come, first served, it is the last of all.
func TestOrganizationsTakeTurns(t *testing.T) {
	var many, few account
	var l line
	push := func(a *account, size int) {
		l.push(&request{account: a, data: make([]byte, size)})
	}
	position := func(a *account) int {
		for i := 0; ; i++ {
			r := l.pop()
			if r == nil {
				t.Fatal("it is not there")
			}
			if r.account == a {
				return i
			}
		}
	}
	for range 100 {
		push(&many, groupBytesMax)
	}
	push(&few, 200)
	if at := position(&few); at > 1 {
		t.Errorf("%d requests came before it", at)
	}
	for range 5 {
		l.pop()
	}
	for range 1000 {
		push(&few, 200)
	}
	for range 990 {
		position(&few)
	}
	if left := l.bytes / groupBytesMax; left < 90 {
		t.Errorf("%d large requests are left", left)
	}
	for l.pop() != nil {
	}
	if l.bytes != 0 || l.end != nil || many.first != nil {
		t.Errorf("an empty line holds %d bytes", l.bytes)
	}
	push(&few, 1)
	push(&many, 1)
	push(&few, 2)
	if a, b := l.pop(), l.pop(); a.account == b.account && len(a.data) > len(b.data) {
		t.Error("the order of an organization's requests is lost")
	}
}

// down is a tap that refuses while it is set.
func down() (*tap, *atomic.Bool) {
	var refusing atomic.Bool
	refusing.Store(true)
	return &tap{before: func(int, string) error {
		if refusing.Load() {
			return errors.New("down")
		}
		return nil
	}}, &refusing
}

// TestFullLogHasRoomForOthers: an organization that fills the log while the database is down is
// refused, and another gets in. With admit asking only for what is free, it is refused as well.
func TestFullLogHasRoomForOthers(t *testing.T) {
	store, refusing := down()
	c := fairConfig(t, store, 0)
	c.LogBytesMax = 1 << 20
	in := mustOpen(t, c)
	in.Start()
	hog := 0
	for _, n := range []int{100, 1} {
		for overloaded(t, in, organization, n) == 0 {
			hog += n
		}
	}
	if used := in.batcher.bytes.Load(); used < c.LogBytesMax*6/8 || used >= c.LogBytesMax {
		t.Errorf("one alone filled %d of %d bytes", used, c.LogBytesMax)
	}
	if err := in.Ready(); err != nil {
		t.Errorf("the node takes others' events, and says %v", err)
	}
	others := 0
	for overloaded(t, in, neighbour, 1) == 0 {
		others++
		if overloaded(t, in, organization, 1) == 0 {
			t.Fatal("the one with most of the log gets in")
		}
	}
	if others < 100 {
		t.Errorf("the other got in %d times", others)
	}
	refusing.Store(false)
	flush(t, in)
	if overloaded(t, in, organization, 100) != 0 || overloaded(t, in, neighbour, 100) != 0 {
		t.Error("refused by an empty log")
	}
	stop(t, in)
	if _, rows := store.stored(); rows != hog+others+200 {
		t.Errorf("%d rows", rows)
	}
}

// TestQueueHasRoomForOthers is the same of what waits for its fsync, while the disk hangs.
func TestQueueHasRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		c := fairConfig(t, &tap{}, 0)
		c.disk = d
		c.QueueBytesMax = 64 << 10
		in := mustOpen(t, c)
		in.Start()
		record(t, in, event(""))
		hold := make(chan struct{})
		d.onSync = func() error { <-hold; return nil }
		answers := make(chan error, 1000)
		stays := func(organization uuid.UUID) bool {
			go func() {
				_, err := in.Record(context.Background(), eventsOf(organization, 10), false)
				answers <- err
			}()
			synctest.Wait()
			return len(answers) == 0
		}
		waiting := 0
		for stays(organization) {
			waiting++
		}
		if err := <-answers; schema.KindOf(err) != schema.Overloaded {
			t.Errorf("%v, want Overloaded", err)
		}
		if used := in.queued.Load(); used < c.QueueBytesMax*6/8 || used > c.QueueBytesMax*15/16 {
			t.Errorf("one alone filled %d of %d bytes", used, c.QueueBytesMax)
		}
		if !stays(neighbour) {
			t.Error("another was refused")
		}
		close(hold)
		for range waiting + 1 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if left := in.queued.Load(); left != 0 {
			t.Errorf("%d bytes wait in an empty queue", left)
		}
		stop(t, in)
	})
}

// TestRetryAfterIsWhenThereIsRoom: the database takes a batch in two seconds. Whoever is refused
// and waits as long as it is told gets in.
func TestRetryAfterIsWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tap{before: func(int, string) error { time.Sleep(2 * time.Second); return nil }}
		c := fairConfig(t, store, 0)
		c.LogBytesMax = 256 << 10
		c.BatchRowsMax = 200
		in := mustOpen(t, c)
		in.Start()
		waited := 0
		for range 200 {
			wait := overloaded(t, in, organization, 200)
			if wait == 0 {
				continue
			}
			time.Sleep(wait)
			if again := overloaded(t, in, organization, 200); again != 0 {
				t.Errorf("waited %v as told, and is told %v more", wait, again)
			}
			if waited++; waited > 1 && wait > 10*time.Second {
				t.Errorf("told to wait %v for two batches", wait)
			}
		}
		if waited < 10 {
			t.Errorf("the log was full %d times", waited)
		}
		flush(t, in)
		stop(t, in)
	})
}

// TestEventsAreLimited counts events, not requests, by the clock of the configuration.
func TestEventsAreLimited(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var offset atomic.Int64
	c := fairConfig(t, &tap{}, 600)
	c.Now = func() time.Time { return now.Add(time.Duration(offset.Load())) }
	c.Limit = 100
	in := mustOpen(t, c)
	in.Start()
	f := func(organization uuid.UUID, n int, want time.Duration) {
		t.Helper()
		if got := overloaded(t, in, organization, n); got != want {
			t.Errorf("%d events: wait %v, want %v", n, got, want)
		}
	}
	f(organization, 590, 0)
	f(organization, 11, 100*time.Millisecond)
	f(organization, 10, 0)
	f(organization, 10, time.Second)
	f(neighbour, 100, 0) // it has the default
	f(neighbour, 1, 600*time.Millisecond)
	offset.Add(int64(time.Second))
	f(organization, 10, 0)
	f(organization, 1, 100*time.Millisecond)
	// What is rejected, or not accepted with it, is not counted.
	offset.Add(int64(time.Second))
	bad := eventsOf(organization, 10)
	bad[3].Measurements = nil
	if _, err := in.Record(context.Background(), bad, true); err != nil {
		t.Fatal(err)
	}
	f(organization, 10, 0)
	flush(t, in)
	stop(t, in)
}
