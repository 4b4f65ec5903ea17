// Package fair shares what is scarce among organizations: an organization alone may have nearly
// all of it, one that comes later always finds some, and nobody needs to know how many there are.
package fair

import (
	"sync"
	"sync/atomic"
	"time"
)

// keep is the part of something scarce that nobody takes alone: an eighth.
const keep = 8

// Within reports whether somebody who holds own of the used part of max may take more: seven times
// what is free. One alone gets seven eighths, two get seven fifteenths each, and whoever has
// nothing yet is within its share as long as anything is free.
func Within(own, used, max int64) bool {
	return used < max && own <= (keep-1)*(max-used)
}

// Meter measures how fast something drains while it is in demand. It is safe for concurrent use;
// the zero value has measured nothing.
type Meter struct {
	mu     sync.Mutex
	amount float64       // of late
	took   time.Duration // for it
	step   time.Duration // between two amounts, the longer ones of late
	last   time.Time
}

// Add notes an amount that drained until now, and how long that took. The newest count most.
func (m *Meter) Add(amount int64, took time.Duration, now time.Time) {
	const fade = 8
	m.mu.Lock()
	defer m.mu.Unlock()
	m.amount += float64(amount) - m.amount/fade
	m.took += max(took, time.Microsecond) - m.took/fade
	if took > m.step/fade { // else it came with the one before
		m.step = max(took, m.step-m.step/fade)
	}
	m.last = now
}

// Until returns how long it is until an amount has drained at the speed and in the steps measured,
// and where nothing has drained for longer than that, as long again. False when nothing was
// measured.
func (m *Meter) Until(amount int64, now time.Time) (time.Duration, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.amount < 1 {
		return 0, false
	}
	const most = time.Hour
	took := min(float64(amount)*float64(m.took)/m.amount, float64(most))
	return max(min(time.Duration(took)+m.step, most), min(now.Sub(m.last), most)), true
}

// Bucket counts against a limit of so many a minute: it holds a minute's worth, and fills up again
// all the time. It is safe for concurrent use; the zero value is full.
type Bucket struct {
	full atomic.Int64 // when it is full again, in nanoseconds since 1970
}

// Take takes n where perMinute is the limit, 0 being none, or takes nothing and returns how long it
// is until n can be had. More than the bucket holds can be had when it is full, and whoever comes
// next waits for it.
func (b *Bucket) Take(n int, perMinute int64, now time.Time) time.Duration {
	if perMinute <= 0 {
		return 0
	}
	cost, at := cost(n, perMinute), now.UnixNano()
	for {
		old := b.full.Load()
		full := max(old, at)
		if wait := full + min(cost, int64(time.Minute)) - at - int64(time.Minute); wait > 0 {
			return time.Duration(wait)
		}
		if b.full.CompareAndSwap(old, full+cost) {
			return 0
		}
	}
}

// Return puts back what Take took and nobody used.
func (b *Bucket) Return(n int, perMinute int64) {
	if perMinute > 0 {
		b.full.Add(-cost(n, perMinute))
	}
}

func cost(n int, perMinute int64) int64 { return int64(n) * int64(time.Minute) / perMinute }
