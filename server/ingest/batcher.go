package ingest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

// batcher moves the log into ClickHouse. Two batches are inserted at a time, since an insert is one
// thread of the engine's, and a third is decoded meanwhile. What is stored is noted in order.
type batcher struct {
	in *Ingest

	bytes    atomic.Int64  // in the log and not stored
	events   atomic.Int64  // likewise
	accepted atomic.Uint64 // inserts that ClickHouse took
	oldest   atomic.Int64  // when the oldest event came that is being stored; 0: there is none
	tooMany  int64         // this many events are a full batch

	mu       sync.Mutex
	progress progress      // as it is on disk
	last     uint64        // index of the newest durable entry
	planned  uint64        // index of the newest entry that is in a batch
	waiting  int64         // events after planned
	marks    []mark        // when entries came, the newest last
	sequence uint64        // of the newest stored event
	hurry    uint64        // somebody waits for this index
	stopping bool          // store what there is, then end
	changed  chan struct{} // closed and replaced when progress.Stored moves
	opened   time.Time

	// The rest is run's alone.
	restored   []fixedBatch // batches of an earlier process, to be loaded again as they were
	restoredAt time.Time    // when that process noted them
	loading    bool
	next       *batch   // loaded, and not fixed yet
	flying     []*batch // fixed, in order; one that is stored waits for those before it
	free       []*queries.EventBatch

	loaded chan *batch
	ended  chan *batch
	wake   chan struct{} // capacity 1: something above moved
	ctx    context.Context
	cancel context.CancelFunc // ends what stop does not wait for
	work   sync.WaitGroup
	done   chan struct{}
}

// flyingMax is how many batches are inserted at a time: what two cores have to give.
const flyingMax = 2

func newBatcher(in *Ingest) *batcher {
	ctx, cancel := context.WithCancel(context.Background())
	b := &batcher{
		in:      in,
		opened:  time.Now(),
		tooMany: int64(in.cfg.BatchRowsMax),
		changed: make(chan struct{}),
		loaded:  make(chan *batch, 1),
		ended:   make(chan *batch, flyingMax),
		wake:    make(chan struct{}, 1),
		ctx:     ctx,
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	for range flyingMax + 1 {
		b.free = append(b.free, new(queries.EventBatch))
	}
	return b
}

// recovered sets where the log was left. What is said to be stored must be: others learn the keys of
// it from the ledger, once.
func (b *batcher) recovered(p progress) {
	b.progress, b.restored, b.restoredAt = p, p.Fixed, p.At
	b.last, b.planned = p.Stored, p.Stored
	b.sequence = b.in.next - 1
	if p.Stored >= b.in.log.last {
		return
	}
	if e, _, err := b.in.log.read(p.Stored + 1); err == nil && e.first > 0 {
		b.sequence = e.first - 1
	}
}

func (b *batcher) start() {
	go func() {
		defer close(b.done)
		b.run()
		b.work.Wait()
	}()
}

// stop stores what there is until ctx ends.
func (b *batcher) stop(ctx context.Context) {
	b.mu.Lock()
	b.stopping = true
	b.mu.Unlock()
	b.signal()
	select {
	case <-b.done:
	case <-ctx.Done():
	}
	b.cancel()
	<-b.done
}

func (b *batcher) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// committed notes a durable entry.
func (b *batcher) committed(index uint64, bytes, events int64) {
	b.bytes.Add(bytes)
	b.events.Add(events)
	b.mu.Lock()
	first := b.last == b.planned
	b.mark(index)
	before := b.waiting
	b.waiting += events
	full := before < b.tooMany && b.waiting >= b.tooMany
	b.last = index
	b.mu.Unlock()
	if first || full {
		b.signal()
	}
}

// run ends when everything is stored after stop, or with ctx.
func (b *batcher) run() {
	for b.settle() {
		due, in := b.due()
		if due == dueNever && !b.loading && b.next == nil && len(b.flying) == 0 {
			return
		}
		if b.loadable(due) {
			b.startLoad()
		}
		if due != dueByAge {
			in = time.Hour // something else will move first
		}
		age := time.NewTimer(in)
		select {
		case <-b.wake:
		case <-age.C:
		case f := <-b.loaded:
			b.plan(f)
		case stored := <-b.ended:
			stored.stored = true
		case <-b.ctx.Done():
		}
		age.Stop()
	}
}

type due int

const (
	dueNothing due = iota // nothing to load
	dueByAge
	dueNow
	dueFull
	dueNever // nothing, and no more will come
)

// busyShare of a full batch within BatchAge is load: there a batch waits up to twice as long while
// more comes, since a small one costs the engine three times as much a row as a large one.
const busyShare = 25

// due says why the entries that are in no batch yet should be loaded, or how long they may wait.
func (b *batcher) due() (due, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(b.restored) > 0:
		return dueFull, 0
	case b.last == b.planned && b.stopping:
		return dueNever, 0
	case b.last == b.planned:
		return dueNothing, 0
	case b.waiting >= b.tooMany:
		return dueFull, 0
	case b.stopping, b.hurry > b.planned:
		return dueNow, 0
	}
	age := b.in.cfg.BatchAge
	since, newest := b.since()
	deadline := since.Add(age)
	if quiet := newest.Add(age / 4); b.waiting >= b.tooMany/busyShare && quiet.After(deadline) {
		deadline = quiet
		if latest := since.Add(2 * age); deadline.After(latest) {
			deadline = latest
		}
	}
	if left := time.Until(deadline); left > 0 {
		return dueByAge, left
	}
	return dueNow, 0
}

// mark is the moment at which an entry came.
type mark struct {
	index uint64
	at    time.Time
}

// The newest marks are kept, so many and so far apart that they reach back further than any batch
// waits for its age.
const (
	marksMax   = 64
	marksApart = 20 // a batch's age is so many times as long
)

// mark notes that an entry came just now. It is called with mu held.
func (b *batcher) mark(index uint64) {
	now := time.Now()
	if n := len(b.marks); n > 0 && now.Sub(b.marks[n-1].at) < b.in.cfg.BatchAge/marksApart {
		return
	}
	if len(b.marks) == marksMax {
		b.marks = append(b.marks[:0], b.marks[1:]...)
	}
	b.marks = append(b.marks, mark{index, now})
}

// since returns when the oldest entry came that is in no batch, the year 1 when that is long ago, and
// when the newest did. It is called with mu held.
func (b *batcher) since() (oldest, newest time.Time) {
	for i := len(b.marks) - 1; i >= 0; i-- {
		if newest.IsZero() {
			newest = b.marks[i].at
		}
		if b.marks[i].index <= b.planned+1 {
			return b.marks[i].at, newest
		}
	}
	return time.Time{}, newest
}

// loadable says whether to load now. A full batch is loaded ahead; one that is not grows until
// there is somewhere to send it.
func (b *batcher) loadable(why due) bool {
	if b.loading || b.next != nil || len(b.free) == 0 {
		return false
	}
	return why == dueFull || why == dueNow && len(b.flying) < flyingMax
}

// settle notes the batches that are stored, fixes the next one if there is room for it, both in one
// durable step, and sends it; false when the batcher was told to end.
func (b *batcher) settle() bool {
	landed := 0
	for landed < len(b.flying) && b.flying[landed].stored {
		landed++
	}
	launch := b.next != nil && len(b.flying)-landed < flyingMax
	if landed == 0 && !launch {
		return b.ctx.Err() == nil
	}
	stored := b.flying[:landed]
	b.flying = append([]*batch(nil), b.flying[landed:]...)
	p := progress{Stored: b.progress.Stored, At: b.in.cfg.Now()}
	if landed > 0 {
		p.Stored = stored[landed-1].to
	}
	if launch {
		if b.next.answered.IsZero() {
			b.next.answered = p.At
		}
		b.flying = append(b.flying, b.next)
		b.restored = b.restored[min(1, len(b.restored)):] // what is loaded is the first of them
	}
	for _, f := range b.flying {
		p.Fixed = append(p.Fixed, f.fixed())
	}
	p.Fixed = append(p.Fixed, b.restored...) // it will be their turn
	if !b.retry("note batches", func() error { return b.in.log.setProgress(p) }) {
		return false
	}
	if launch {
		f := b.next
		b.next = nil
		b.work.Go(func() { b.send(f) })
	}
	b.toStore()
	b.in.metrics.stored(stored, p.At)
	b.finish(p, stored)
	return b.ctx.Err() == nil
}

// finish makes stored batches known and gives their place in the log back. The newest entry is
// kept: the sequence goes on from it after a restart.
func (b *batcher) finish(p progress, stored []*batch) {
	b.mu.Lock()
	b.progress = p
	drained := int64(0)
	for _, f := range stored {
		b.bytes.Add(-f.bytes)
		drained += f.bytes
		b.events.Add(-f.events)
		b.sequence = f.last
		b.free = append(b.free, f.rows)
	}
	if len(stored) > 0 {
		close(b.changed)
		b.changed = make(chan struct{})
	}
	b.mu.Unlock()
	if len(stored) == 0 {
		return
	}
	b.in.accounts.drained(drained, b.bytes.Load(), b.in.cfg.Now())
	upTo := min(p.Stored, b.in.keys.Durable())
	if upTo < 2 {
		return
	}
	if err := b.in.log.truncate(upTo - 1); err != nil {
		b.in.cfg.Logger.Warn("log was not truncated, the next batch tries again", "error", err)
	}
}

func (b *batcher) waitStored(ctx context.Context, sequence uint64) error {
	return b.wait(ctx, func() bool { return b.sequence >= sequence })
}

func (b *batcher) flush(ctx context.Context) error {
	b.mu.Lock()
	target := b.last
	b.mu.Unlock()
	return b.wait(ctx, func() bool { return b.progress.Stored >= target })
}

// wait returns when reached, which is called with mu held, says so.
func (b *batcher) wait(ctx context.Context, reached func() bool) error {
	for {
		b.mu.Lock()
		if reached() {
			b.mu.Unlock()
			return nil
		}
		b.hurry = b.last
		changed := b.changed
		b.mu.Unlock()
		b.signal()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-b.done:
			return context.Canceled
		}
	}
}
