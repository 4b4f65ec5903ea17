package ingest

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/fair"
)

// account is what an organization has of the write path of this node.
type account struct {
	queued atomic.Int64 // bytes that wait for their fsync
	logged atomic.Int64 // bytes in the log, roughly: see accounts.drained
	limit  atomic.Int64 // events a minute; 0: none
	bucket fair.Bucket  // of limit

	// The committer's alone: see line.
	first, last *request
	credit      int
	next        *account
}

// accounts finds an organization's account without a lock. They are worked out anew for each
// snapshot of the catalog, and what is counted goes on from one to the next.
type accounts struct {
	perMinute int64 // the limit of organizations that have none of their own
	current   atomic.Pointer[accountsOf]
	others    account // of organizations that are just leaving the catalog: they have no share

	mu        sync.Mutex
	draining  fair.Meter // the log into ClickHouse
	lastDrain time.Time  // when a batch left others waiting in the log; zero: it left none
}

type accountsOf struct {
	snapshot *access.Snapshot
	byID     map[uuid.UUID]*account
}

// of returns the account of an organization.
func (all *accounts) of(s *access.Snapshot, organization uuid.UUID) *account {
	current := all.current.Load()
	if current == nil || current.snapshot != s {
		current = all.renew(s)
	}
	if a, ok := current.byID[organization]; ok {
		return a
	}
	return &all.others
}

func (all *accounts) renew(s *access.Snapshot) *accountsOf {
	all.mu.Lock()
	defer all.mu.Unlock()
	last := all.current.Load()
	if last != nil && last.snapshot == s {
		return last
	}
	next := &accountsOf{snapshot: s, byID: make(map[uuid.UUID]*account)}
	for o := range s.EachOrganization() {
		var a *account
		if last != nil {
			a = last.byID[o.ID]
		}
		if a == nil {
			a = &account{}
		}
		limit := all.perMinute
		if o.EventsPerMinute > 0 {
			limit = int64(o.EventsPerMinute)
		}
		a.limit.Store(limit)
		next.byID[o.ID] = a
	}
	all.current.Store(next)
	return next
}

// drained notes that batches have left the log, in which left bytes remain. Whose events they held
// is not looked at: they take from everyone in proportion, which favours whoever has little.
func (all *accounts) drained(step, left int64, now time.Time) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if !all.lastDrain.IsZero() {
		all.draining.Add(step, now.Sub(all.lastDrain), now)
	}
	all.lastDrain = time.Time{}
	if left > 0 {
		all.lastDrain = now
	}
	current := all.current.Load()
	if current == nil {
		return
	}
	for _, a := range current.byID {
		if logged := a.logged.Load(); logged > 0 {
			a.logged.Add(-portion(logged, step, max(left, 0)+step))
		}
	}
}

// portion returns the part of amount that part is of whole, which is not less than part.
func portion(amount, part, whole int64) int64 {
	high, low := bits.Mul64(uint64(amount), uint64(part))
	if whole <= 0 || part <= 0 || high >= uint64(whole) {
		return 0
	}
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return min(int64(quotient), amount)
}

// admit returns an Overloaded error when an organization has its share of what is bounded, or the
// bound was reached before the size bytes that it has queued by now. What waits for its fsync is on
// its way into the log.
func (in *Ingest) admit(a *account, size int64) error {
	queued, used := a.queued.Load(), in.queued.Load()-size
	logged, logUsed := a.logged.Load()+queued, in.batcher.bytes.Load()+used
	if a == &in.accounts.others {
		queued, logged = 0, 0
	}
	if !fair.Within(queued, used, in.cfg.QueueBytesMax) {
		return in.queueFull(used)
	}
	if !fair.Within(logged, logUsed, in.cfg.LogBytesMax) {
		return in.logFull(logged, logUsed)
	}
	return nil
}

// What a client is told to wait, at least and at most.
const retryLeast, retryMost = time.Second, time.Minute

func (in *Ingest) queueFull(used int64) error {
	wait, _ := in.commits.Until(used, in.cfg.Now())
	return &schema.Error{
		Kind:       schema.Overloaded,
		Message:    "too many writes are waiting; nothing was accepted, try again",
		RetryAfter: min(max(wait, retryLeast), retryMost),
	}
}

// logFull tells when the log will have room again for somebody who has logged bytes of what is
// used of it: x bytes later, where (logged - logged*x/used) = 7*(free + x).
func (in *Ingest) logFull(logged, used int64) error {
	free := max(in.cfg.LogBytesMax-used, 0)
	x := max(used-in.cfg.LogBytesMax, 0)
	if over := logged - 7*free; over > 0 {
		x = max(x, portion(over, used, logged+7*used))
	}
	message := "the log is full until the database takes more; nothing was accepted, try again"
	if free > 0 {
		message = "the organization's share of the log is full until the database takes more; " +
			"nothing was accepted, try again"
	}
	return &schema.Error{
		Kind: schema.Overloaded, Message: message, RetryAfter: in.accounts.until(x, in.cfg.Now()),
	}
}

// until estimates when so many bytes will have left the log.
func (all *accounts) until(bytes int64, now time.Time) time.Duration {
	const unknown = 5 * time.Second // the batcher tries again as often as that
	wait, ok := all.draining.Until(bytes, now)
	if !ok {
		return unknown
	}
	return min(max(wait, retryLeast), retryMost)
}

// count counts events against the limit of their organization. Above it the error is Overloaded,
// and none was counted.
func (in *Ingest) count(a *account, events int) error {
	limit := a.limit.Load()
	if limit == 0 {
		return nil
	}
	wait := a.bucket.Take(events, limit, in.cfg.Now())
	if wait == 0 {
		return nil
	}
	return &schema.Error{
		Kind: schema.Overloaded,
		Message: fmt.Sprintf("the organization has a limit of %d events a minute; "+
			"nothing was accepted, try again later", limit),
		RetryAfter: wait,
	}
}

// turnBytes is what an organization may commit before it is another's turn.
const turnBytes = 64 << 10

// line is the requests that wait for the next group. Organizations take turns by bytes, so that
// one request waits for one turn of each other organization, however much they have waiting
// (deficit round robin). The order of one organization's requests is kept.
type line struct {
	end   *account // its next is whose turn it is; nil: nobody waits
	bytes int
}

func (l *line) push(r *request) {
	a := r.account
	r.next = nil
	l.bytes += len(r.data)
	if a.first != nil {
		a.last.next = r
		a.last = r
		return
	}
	a.first, a.last, a.credit = r, r, turnBytes
	if l.end == nil {
		a.next = a
	} else {
		a.next = l.end.next
		l.end.next = a
	}
	l.end = a
}

// pop takes the request whose turn it is; nil when nobody waits.
func (l *line) pop() *request {
	if l.end == nil {
		return nil
	}
	a := l.end.next
	for a != l.end && a.credit < len(a.first.data) {
		a.credit += turnBytes
		l.end = a // behind all others
		a = a.next
	}
	if a == l.end { // it waits alone, and owes nobody anything
		a.credit = turnBytes + len(a.first.data)
	}
	r := a.first
	a.first = r.next
	a.credit -= len(r.data)
	l.bytes -= len(r.data)
	switch {
	case a.first != nil:
	case a == l.end:
		l.end = nil
	default:
		l.end.next = a.next
	}
	return r
}
