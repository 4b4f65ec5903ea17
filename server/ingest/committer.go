package ingest

import (
	"context"
	"runtime"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/schema"
)

// request is one Record on its way through the committer. Its goroutine owns it until it is
// queued and again after done; in between it is the committer's.
type request struct {
	data  []byte      // the events' encodings, back to back
	ends  []int       // where each event's encoding ends in data
	keyed []uuid.UUID // the event's id when the client gave a key, else zero; empty: no keys at all

	unpriced []uint8 // how many of each event's measurements no rate prices

	account *account          // of the events' organization
	span    trace.SpanContext // of its way here; invalid: it is not traced
	next    *request          // of the account, in the committer's line

	accepted int
	repeated []int  // positions among ends of the known duplicates
	last     uint64 // sequence up to which its events are, known duplicates too
	err      error
	done     chan struct{}
}

func (r *request) reset() {
	r.data, r.ends, r.keyed = r.data[:0], r.ends[:0], r.keyed[:0]
	r.unpriced = r.unpriced[:0]
	r.account, r.next, r.span = nil, nil, trace.SpanContext{}
	r.repeated, r.accepted, r.last, r.err = r.repeated[:0], 0, 0, nil
}

// groupBytesMax ends a group: beyond it one more request makes the fsync slower, not cheaper, and
// the batch that has to take the whole entry larger.
const groupBytesMax = 1 << 20

// committer turns queued requests into log entries: while one fsync runs, the next group gathers.
type committer struct {
	ingest *Ingest
	buf    []byte // the entry being made
	group  []*request
	line   line // what waits for the next group
	keys   groupKeys
	next   uint64 // sequence of the next event
}

// run commits until the queue is closed and empty.
func (c *committer) run() {
	for c.await() {
		c.gather()
		c.commit()
	}
}

// await returns true when somebody waits, false when nobody will any more.
func (c *committer) await() bool {
	if c.line.end != nil {
		return true
	}
	r, ok := <-c.ingest.queue
	if ok {
		c.line.push(r)
	}
	return ok
}

// gather takes what is queued by now and makes a group of up to groupBytesMax of it. It lets who is
// about to queue more do so first: on a busy node that makes groups larger and fsyncs fewer, on an
// idle one it costs nothing.
func (c *committer) gather() {
	for round := 0; ; round++ {
		some := c.drain()
		if !some && round > 0 || round == gatherRounds || c.line.bytes >= groupBytesMax {
			break
		}
		runtime.Gosched()
	}
	c.group = c.group[:0]
	for size := 0; size < groupBytesMax && c.line.end != nil; {
		r := c.line.pop()
		c.group = append(c.group, r)
		size += len(r.data)
	}
}

// gatherRounds bounds how often gather steps aside for others.
const gatherRounds = 8

// drain puts all that is queued into the line; false when that is nothing.
func (c *committer) drain() (some bool) {
	for {
		select {
		case r, ok := <-c.ingest.queue:
			if !ok {
				return some
			}
			c.line.push(r)
			some = true
		default:
			return some
		}
	}
}

// commit makes the group's new events durable and tells every request what became of its own. A
// duplicate is acknowledged with the group too: the event it repeats may be in this very group.
func (c *committer) commit() {
	var header [entryHeader]byte
	c.buf = append(c.buf[:0], header[:]...)
	c.keys.add(c.group, c.ingest.keys, c.ingest.cfg.Now())
	first := c.next
	for _, r := range c.group {
		c.take(r)
	}
	count := c.next - first
	var err error
	if count > 0 {
		sealEntry(c.buf, first, uint32(count))
		err = c.write(count)
	}
	if err != nil {
		c.next = first
		c.keys.forget(c.ingest.keys)
		c.ingest.setBroken(err) // before its writers hear of it and ask whether we are ready
	}
	for _, r := range c.group {
		c.answer(r, err)
	}
	if err != nil {
		c.heal()
	}
	if cap(c.buf) > 2*groupBytesMax {
		c.buf = nil // one huge request must not keep its memory
	}
}

// answer ends the wait of a request.
func (c *committer) answer(r *request, err error) {
	size := int64(len(r.data))
	c.ingest.queued.Add(-size)
	r.account.queued.Add(-size)
	if err == nil && r.accepted > 0 {
		r.account.logged.Add(size)
	}
	r.err = err
	r.done <- struct{}{}
}

// take adds a request's new events to the entry.
func (c *committer) take(r *request) {
	if len(r.keyed) == 0 {
		c.buf = append(c.buf, r.data...)
		r.accepted = len(r.ends)
		c.next += uint64(r.accepted)
		r.last = c.next - 1
		return
	}
	start := 0
	for i, end := range r.ends {
		if r.keyed[i] != uuid.Nil && c.keys.isKnown() {
			r.repeated = append(r.repeated, i)
			r.last = c.next - 1 // what it repeats is at most there
			start = end
			continue
		}
		c.buf = append(c.buf, r.data[start:end]...)
		start = end
		r.accepted++
		r.last = c.next
		c.next++
	}
}

func (c *committer) write(count uint64) error {
	began := time.Now()
	index, err := c.ingest.log.append(c.buf)
	if err != nil {
		return err
	}
	took := time.Since(began)
	c.ingest.metrics.fsync.Observe(took.Seconds())
	c.ingest.commits.Add(int64(len(c.buf)), took, began.Add(took))
	c.ingest.metrics.groupEvents.Observe(float64(count))
	c.ingest.knownUpTo(index, len(c.buf))
	if c.ingest.cfg.Tracer != nil {
		c.ingest.traced.add(index, c.group)
	}
	c.ingest.committed(index, len(c.buf), count)
	return nil
}

// heal opens the log again after a failed append. Until it is open, writers are told to try
// later: an error of the disk must not be mistaken for room on it.
func (c *committer) heal() {
	wait := newBackoff(100*time.Millisecond, 2*time.Second)
	size := len(c.buf)
	for {
		err := c.ingest.log.reopen()
		if err == nil {
			err = c.probe(size)
		}
		if err == nil {
			c.ingest.setBroken(nil)
			return
		}
		c.ingest.setBroken(err)
		if !c.refuse(wait.next()) {
			return
		}
	}
}

// probe appends an entry of no events, as large as that which failed: a log that opens is not yet
// one that can be written, and a full disk takes a few bytes, but not the next writer's.
func (c *committer) probe(size int) error {
	c.buf = append(c.buf[:0], make([]byte, max(size, entryHeader))...)
	sealEntry(c.buf, c.next, 0)
	return c.write(0)
}

// refuse answers queued requests with Unavailable for a while; false when the queue was closed.
func (c *committer) refuse(d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for c.line.end != nil {
		c.answer(c.line.pop(), errBroken())
	}
	for {
		select {
		case <-ctx.Done():
			return true
		case r, ok := <-c.ingest.queue:
			if !ok {
				return false
			}
			c.answer(r, errBroken())
		}
	}
}

func errBroken() error {
	return &schema.Error{
		Kind:       schema.Unavailable,
		Message:    "the log cannot be written right now; nothing was accepted, try again",
		RetryAfter: 2 * time.Second,
	}
}
