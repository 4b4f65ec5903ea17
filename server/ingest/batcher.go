package ingest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// batcher moves the log into ClickHouse, one batch at a time, in order.
type batcher struct {
	in   *Ingest
	rows *queries.EventBatch // the batch being sent

	bytes   atomic.Int64 // in the log and not stored
	events  atomic.Int64 // likewise
	rate    atomic.Int64 // bytes per second at which the last batch was stored; 0: it failed
	tooMany int64        // this many events are a full batch

	mu       sync.Mutex
	progress progress
	last     uint64        // index of the newest durable entry
	sequence uint64        // of the newest stored event
	hurry    uint64        // somebody waits for this index
	stopping bool          // store what there is, then end
	changed  chan struct{} // closed and replaced when progress.Stored moves

	wake   chan struct{} // capacity 1: something above moved
	ctx    context.Context
	cancel context.CancelFunc // ends what stop does not wait for
	done   chan struct{}
}

func newBatcher(in *Ingest) *batcher {
	ctx, cancel := context.WithCancel(context.Background())
	return &batcher{
		in:      in,
		rows:    new(queries.EventBatch),
		tooMany: int64(in.cfg.BatchRowsMax),
		changed: make(chan struct{}),
		wake:    make(chan struct{}, 1),
		ctx:     ctx,
		cancel:  cancel,
		done:    make(chan struct{}),
	}
}

// recovered sets where the log was left. The sequence of what is stored is not needed before
// the first batch: nobody waits for an event of an earlier process.
func (b *batcher) recovered(p progress) {
	b.progress, b.last = p, p.Stored
	b.sequence = b.in.next - 1
}

func (b *batcher) start() {
	go func() {
		defer close(b.done)
		for b.await() && b.send() {
		}
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
	before := b.events.Add(events) - events
	b.mu.Lock()
	b.last = index
	b.mu.Unlock()
	if before == 0 || before < b.tooMany && before+events >= b.tooMany {
		b.signal()
	}
}

// await returns true when a batch is due, false when the batcher has to end.
func (b *batcher) await() bool {
	var age <-chan time.Time
	for {
		switch b.due() {
		case dueNow:
			return b.ctx.Err() == nil
		case dueNever:
			return false
		case dueByAge:
			if age == nil {
				timer := time.NewTimer(b.in.cfg.BatchAge)
				defer timer.Stop()
				age = timer.C
			}
		}
		select {
		case <-b.wake:
		case <-age:
			return true
		case <-b.ctx.Done():
			return false
		}
	}
}

type due int

const (
	dueNothing due = iota // nothing to send
	dueByAge
	dueNow
	dueNever // and no more will come
)

func (b *batcher) due() due {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch p := b.progress; {
	case b.last == p.Stored && b.stopping:
		return dueNever
	case b.last == p.Stored:
		return dueNothing
	case p.Fixed > p.Stored, b.hurry > p.Stored, b.stopping, b.events.Load() >= b.tooMany:
		return dueNow
	}
	return dueByAge
}

// batch is a run of the log whose bounds are fixed.
type batch struct {
	to     uint64 // index of its last entry
	bytes  int64
	events int64
	first  uint64 // sequences
	last   uint64
}

// send stores the next batch, trying until it is stored; false when the batcher was told to end.
func (b *batcher) send() bool {
	var next batch
	if !b.retry("read the log", func() (err error) {
		next, err = b.load()
		return err
	}) {
		return false
	}
	b.mu.Lock()
	p := b.progress
	b.mu.Unlock()
	if p.Fixed != next.to {
		p.Fixed = next.to
		if !b.retry("fix a batch", func() error { return b.in.log.setProgress(p) }) {
			return false
		}
		b.mu.Lock()
		b.progress = p
		b.mu.Unlock()
	}
	if b.in.gate.Enter(b.ctx) != nil {
		return false
	}
	defer b.in.gate.Leave()
	token := fmt.Sprintf("%s:%d-%d", b.in.Node(), next.first, next.last)
	if !b.retry("insert a batch", func() error { return b.insert(token, next) }) {
		return false
	}
	done := progress{Stored: next.to, Fixed: next.to}
	if !b.retry("note a batch", func() error { return b.in.log.setProgress(done) }) {
		return false
	}
	b.finish(done, next)
	return true
}

// load reads the next batch into b.rows: up to the bounds that were fixed before, else as many
// entries as make a full batch.
func (b *batcher) load() (batch, error) {
	b.mu.Lock()
	p, last := b.progress, b.last
	b.mu.Unlock()
	fixed := p.Fixed > p.Stored
	if fixed {
		last = p.Fixed
	}
	var next batch
	var event schema.Event
	b.rows.Reset()
	for index := p.Stored + 1; index <= last; index++ {
		if !fixed && b.rows.Rows() >= b.in.cfg.BatchRowsMax {
			break
		}
		e, size, err := b.in.log.read(index)
		if err != nil {
			return batch{}, err
		}
		if next.first == 0 {
			next.first = e.first
		}
		r := reader{rest: e.events}
		for i := range e.count {
			if _, err := r.event(&event); err != nil {
				return batch{}, fmt.Errorf("log: entry %d: %w", index, err)
			}
			b.rows.Append(&event, b.in.Node(), e.first+i)
		}
		next.to, next.last = index, e.next()-1
		next.bytes += int64(size)
		next.events += int64(e.count)
	}
	return next, nil
}

func (b *batcher) insert(token string, next batch) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.in.cfg.InsertTimeout)
	defer cancel()
	began := time.Now()
	if err := b.in.cfg.Store.InsertEvents(ctx, token, b.rows); err != nil {
		b.rate.Store(0)
		return err
	}
	took := time.Since(began)
	b.rate.Store(int64(float64(next.bytes) / max(took, time.Millisecond).Seconds()))
	b.in.metrics.batches.Inc()
	b.in.metrics.batchRows.Observe(float64(b.rows.Rows()))
	b.in.metrics.insert.Observe(took.Seconds())
	return nil
}

// finish makes a stored batch known and gives its place in the log back. The newest entry is kept:
// the sequence goes on from it after a restart.
func (b *batcher) finish(p progress, stored batch) {
	b.bytes.Add(-stored.bytes)
	b.events.Add(-stored.events)
	b.mu.Lock()
	b.progress, b.sequence = p, stored.last
	close(b.changed)
	b.changed = make(chan struct{})
	b.mu.Unlock()
	if err := b.in.log.truncate(p.Stored - 1); err != nil {
		b.in.cfg.Logger.Warn("log was not truncated, the next batch tries again", "error", err)
	}
}

// retry tries until it succeeds; false when the batcher was told to end. A failure is logged when
// it is news and counted always.
func (b *batcher) retry(what string, try func() error) bool {
	wait := newBackoff(100*time.Millisecond, 5*time.Second)
	said := ""
	for {
		err := try()
		if err == nil {
			if said != "" {
				b.in.cfg.Logger.Info("batcher goes on", "step", what)
			}
			return true
		}
		if b.ctx.Err() != nil {
			return false
		}
		b.in.metrics.insertFailures.Inc()
		if said != err.Error() {
			said = err.Error()
			b.in.cfg.Logger.Warn("batcher will try again", "step", what, "error", err)
		}
		select {
		case <-time.After(wait.next()):
		case <-b.ctx.Done():
			return false
		}
	}
}

// retryAfter estimates when the log will have room: an eighth of it at the speed of the last batch.
func (b *batcher) retryAfter() time.Duration {
	const least, most = time.Second, time.Minute
	rate := b.rate.Load()
	if rate == 0 {
		return 5 * time.Second
	}
	seconds := b.in.cfg.LogBytesMax / 8 / rate
	return min(max(time.Duration(seconds)*time.Second, least), most)
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
