package fair

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

func TestWithin(t *testing.T) {
	f := func(own, used int64, want bool) {
		t.Helper()
		if got := Within(own, used, 1600); got != want {
			t.Errorf("%d of %d: %v", own, used, got)
		}
	}
	f(0, 0, true)
	f(1400, 1400, true) // alone: seven eighths
	f(1401, 1401, false)
	f(0, 1599, true) // who has nothing gets in as long as anything is free
	f(0, 1600, false)
	f(747, 1493, true) // two: seven fifteenths each
	f(750, 1500, false)
	f(10, 1500, true)
}

func TestMeter(t *testing.T) {
	var m Meter
	now := time.Unix(1000, 0)
	if _, ok := m.Until(1, now); ok {
		t.Error("it measured nothing and knows")
	}
	f := func(amount int64, want time.Duration) {
		t.Helper()
		got, ok := m.Until(amount, now)
		if off := got - want; !ok || off > want/100 || off < -want/100 {
			t.Errorf("%d: %v, want %v", amount, got, want)
		}
	}
	m.Add(1000, time.Second, now)
	f(5000, 6*time.Second) // five, and the step that has only begun
	for range 100 {
		m.Add(1000, 10*time.Second, now)
	}
	f(5000, 60*time.Second) // the newest count most
	now = now.Add(3 * time.Minute)
	f(5000, 3*time.Minute) // nothing drained for that long
	f(100_000, 1010*time.Second)
	m.Add(1000, 0, now) // together with the one before
	m.Add(1000, 0, now)
	f(0, 10*time.Second)
	m.Add(1000, 0, now)
	if got, ok := m.Until(1<<62, now); !ok || got != time.Hour {
		t.Errorf("for ever: %v", got)
	}
}

// TestBucket waits as long as it is told and gets in, and not a second less.
func TestBucket(t *testing.T) {
	var b Bucket
	now := time.Unix(1000, 0)
	f := func(n int, want time.Duration) {
		t.Helper()
		got := b.Take(n, 600, now)
		if got != want {
			t.Errorf("%d: wait %v, want %v", n, got, want)
		}
		if got == 0 {
			return
		}
		if early := b.Take(n, 600, now.Add(got-time.Millisecond)); early == 0 {
			t.Errorf("%d: let in before %v were over", n, got)
		}
		now = now.Add(got)
		if late := b.Take(n, 600, now); late != 0 {
			t.Errorf("%d: refused after %v, for %v more", n, got, late)
		}
	}
	f(600, 0) // a minute's worth at once
	f(1, 100*time.Millisecond)
	f(10, time.Second)
	now = now.Add(time.Hour)
	f(300, 0)
	f(301, 100*time.Millisecond)
	now = now.Add(time.Minute)
	f(6000, 0) // more than there ever is: when it is full
	f(1, 9*time.Minute+100*time.Millisecond)
	now = now.Add(time.Hour)
	f(1, 0)
	f(6000, 100*time.Millisecond)
	b = Bucket{}
	f(600, 0)
	b.Return(600, 600)
	f(600, 0)
	if b.Take(1_000_000, 0, now) != 0 {
		t.Error("no limit limits")
	}
}

var a, other = uuid.New(), uuid.New()

// TestBudgetKeepsRoomForOthers: what is left goes to who has none, at once. With fits asking only
// for what is free, the other organization waits, and gets nothing.
func TestBudgetKeepsRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(80)
		for range 7 {
			if !b.Take(a, 10, 0) {
				t.Fatal("refused before its share")
			}
		}
		began := time.Now()
		if b.Take(a, 10, time.Second) || time.Since(began) != time.Second {
			t.Error("one organization has everything, or did not wait")
		}
		if !b.Take(other, 10, 0) || time.Since(began) != time.Second {
			t.Error("another had to wait")
		}
		if b.Take(uuid.New(), 1, 0) {
			t.Error("more than there is")
		}
		b.Give(other, 10)
		b.Give(a, 70)
		if b.used != 0 || len(b.holders) != 0 || len(b.waiting) != 0 {
			t.Errorf("%d used, %d holders", b.used, len(b.holders))
		}
	})
}

// TestBudgetServesWhoHasLeast: many of one organization wait before one of another comes, which is
// served first all the same. With serve taking whoever came first, it is served last.
func TestBudgetServesWhoHasLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		b.Take(a, 50, 0)
		b.Take(other, 45, 0) // 5 are free
		b.Take(uuid.New(), 5, 0)
		order := make(chan string, 20)
		take := func(organization uuid.UUID, name string) {
			go func() {
				if !b.Take(organization, 10, time.Minute) {
					name += " gave up"
				}
				order <- name
			}()
			synctest.Wait()
		}
		for range 10 {
			take(a, "a")
		}
		take(uuid.New(), "third")
		b.Give(a, 9)
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("%s was served, and there was no room", <-order)
		}
		b.Give(a, 11)
		synctest.Wait()
		if first := <-order; first != "third" {
			t.Errorf("%s was served first", first)
		}
		b.Give(other, 45)
		b.Give(a, 30)
		for range 4 {
			if next := <-order; next != "a" {
				t.Error(next)
			}
		}
		time.Sleep(time.Hour) // the rest
		synctest.Wait()
		if len(b.waiting) != 0 {
			t.Errorf("%d wait for ever", len(b.waiting))
		}
	})
}

// TestWhoWaitsAsToldGetsIn has 200 clients of one organization, and 5 of another, ask at once for
// what seven have at a time, a second each, and come again when they are told: with Later that
// keeps no promise, or tells what was waited, some are refused seven times; most are refused once,
// and in one of twenty runs some three times.
func TestWhoWaitsAsToldGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(80)
		const wait = 3 * time.Second
		var most, refusals atomic.Int64
		client := func(organization uuid.UUID) {
			refused := int64(0)
			for !b.Take(organization, 10, wait) {
				refused++
				time.Sleep(b.Later(organization, 10, wait))
			}
			most.Store(max(most.Load(), refused))
			refusals.Add(refused)
			time.Sleep(time.Second)
			b.Give(organization, 10)
		}
		began := time.Now()
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { client(a) })
		}
		for range 5 {
			wg.Go(func() { client(other) })
		}
		wg.Wait()
		took := time.Since(began)
		if most.Load() > 4 || took > 40*time.Second {
			t.Errorf("refused %d times at most, %d in all; done after %v",
				most.Load(), refusals.Load(), took)
		}
		if b.used != 0 || len(b.holders) != 0 {
			t.Errorf("%d used, %d holders", b.used, len(b.holders))
		}
	})
}

// TestLaterIsMeasured: what was not measured is what was waited; a promise is kept for those behind
// it, and passes; and nobody is told to wait for longer than a minute.
func TestLaterIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		f := func(organization uuid.UUID, amount int64, want time.Duration) {
			t.Helper()
			got := b.Later(organization, amount, 3*time.Second)
			if off := got - want; off > want/10 || off < -want/10 {
				t.Errorf("%v, want %v", got, want)
			}
		}
		f(a, 10, 3*time.Second)
		b.Take(a, 80, 0)
		if b.Take(a, 80, 0) {
			t.Fatal("more than there is")
		}
		for range 8 { // ten in two seconds
			time.Sleep(2 * time.Second)
			b.Take(a, 80, 0)
			b.Give(a, 10)
		}
		f(a, 10, 4*time.Second) // and the step that has only begun
		f(a, 10, 6*time.Second)
		f(a, 20, 10*time.Second)
		f(other, 10, 6*time.Second) // two share it
		time.Sleep(9 * time.Second)
		f(other, 10, 9*time.Second) // nothing was given back for as long
		f(a, 1000, time.Minute)
	})
}
