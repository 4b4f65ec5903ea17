package fair

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Budget is an amount of something, of which organizations take and to which they give back. Who
// has least of it comes first, and who has much leaves some for those who come. It is safe for
// concurrent use.
type Budget struct {
	max int64

	mu      sync.Mutex
	used    int64
	holders map[uuid.UUID]*holder // those that have some, or wait for it
	waiting []*waiter             // in the order they came

	freed  Meter                   // what was given back while somebody wanted it
	since  time.Time               // from when on the next of it counts
	wanted time.Time               // when somebody had to wait last
	later  map[uuid.UUID]time.Time // until when those who were refused were told to wait
}

// wantedFor is for how long after somebody had to wait what is given back is measured.
const wantedFor = 10 * time.Second

type holder struct {
	own     int64
	waiting int
}

type waiter struct {
	*holder
	amount int64
	ready  chan struct{} // closed when the amount is taken
}

// NewBudget returns a budget of an amount, all of it free.
func NewBudget(amount int64) *Budget {
	return &Budget{
		max: amount, holders: make(map[uuid.UUID]*holder), later: make(map[uuid.UUID]time.Time),
	}
}

// Take takes an amount for an organization and waits for it as long as it may; false when it was
// not to be had.
func (b *Budget) Take(organization uuid.UUID, amount int64, wait time.Duration) bool {
	return b.TakeUntil(nil, organization, amount, wait)
}

// TakeUntil is Take that waits no longer than until done is closed.
func (b *Budget) TakeUntil(
	done <-chan struct{}, organization uuid.UUID, amount int64, wait time.Duration,
) bool {
	b.mu.Lock()
	h, ok := b.holders[organization]
	if !ok {
		h = &holder{}
		b.holders[organization] = h
	}
	if len(b.waiting) == 0 && b.fits(h, amount) {
		b.take(h, amount)
		b.mu.Unlock()
		return true
	}
	w := &waiter{holder: h, amount: amount, ready: make(chan struct{})}
	h.waiting++
	b.waiting = append(b.waiting, w)
	now := time.Now()
	if now.Sub(b.wanted) > wantedFor {
		b.since = now
	}
	b.wanted = now
	b.serve()
	b.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return true
	case <-timer.C:
	case <-done:
	}
	return b.leave(organization, w)
}

// leave ends the wait of a waiter; true when it has what it waited for after all.
func (b *Budget) leave(organization uuid.UUID, w *waiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiting, w)
	if at < 0 {
		return true
	}
	b.remove(at)
	b.forget(organization, w.holder)
	b.serve() // somebody may have waited only for this one's turn to pass
	return false
}

// Give gives back an amount, or a part of it, that an organization took.
func (b *Budget) Give(organization uuid.UUID, amount int64) {
	if amount == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.holders[organization]
	h.own -= amount
	b.used -= amount
	if now := time.Now(); now.Sub(b.wanted) <= wantedFor {
		b.freed.Add(amount, now.Sub(b.since), now)
		b.since = now
	}
	b.serve()
	b.forget(organization, h)
}

// Bounds of what Later tells.
const (
	laterLeast = time.Second
	laterMost  = time.Minute
)

// Later returns in how long somebody who was refused an amount should come again, by how fast it was
// given back of late; waited where that is not known. It is promised: whoever is refused next, of
// the same organization, is told to come after that. Organizations share what is given back.
func (b *Budget) Later(
	organization uuid.UUID, amount int64, waited time.Duration,
) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for id, until := range b.later {
		if !until.After(now) {
			delete(b.later, id)
		}
	}
	until, before := b.later[organization]
	sharers := int64(len(b.later))
	if !before {
		sharers++
	}
	soonest, known := b.freed.Until(0, now)
	wait, _ := b.freed.Until(sharers*amount, now)
	if !known {
		return waited
	}
	if before {
		wait = max(wait, until.Sub(now)+wait-soonest)
	}
	wait = min(max(wait, laterLeast), laterMost)
	b.later[organization] = now.Add(wait)
	return wait
}

// serve lets waiters take what there is, those first who have least. Where it does not suffice for
// the first of them it is kept together until it does.
func (b *Budget) serve() {
	for len(b.waiting) > 0 {
		first := 0
		for i, w := range b.waiting {
			if w.own < b.waiting[first].own {
				first = i
			}
		}
		w := b.waiting[first]
		if !b.fits(w.holder, w.amount) {
			return
		}
		b.remove(first)
		b.take(w.holder, w.amount)
		close(w.ready)
	}
}

func (b *Budget) fits(h *holder, amount int64) bool {
	used := b.used + amount
	return used <= b.max && (h.own == 0 || h.own+amount <= (keep-1)*(b.max-used))
}

func (b *Budget) take(h *holder, amount int64) {
	h.own += amount
	b.used += amount
}

func (b *Budget) remove(at int) {
	b.waiting[at].waiting--
	b.waiting = slices.Delete(b.waiting, at, at+1)
}

// forget drops the account of an organization that has nothing and waits for nothing.
func (b *Budget) forget(organization uuid.UUID, h *holder) {
	if h.own == 0 && h.waiting == 0 {
		delete(b.holders, organization)
	}
}
