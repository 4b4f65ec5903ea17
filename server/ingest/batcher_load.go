package ingest

import (
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// batch is a run of the log and its rows.
type batch struct {
	rows *queries.EventBatch

	from, to uint64 // indexes of its entries
	bytes    int64
	events   int64
	first    uint64 // sequences
	last     uint64
	nonce    uint64
	answered time.Time    // when it was fixed, or ClickHouse last answered to it while not unsure
	tried    time.Time    // when the last try of this process ended
	unsure   bool         // a try was not answered: it may be stored, under a token of that time
	oldest   time.Time    // when its first event came
	links    []trace.Link // to some of its requests; nil: they were not asked for
	stored   bool         // or set aside: it is no longer in the way
}

func (f *batch) fixed() fixedBatch { return fixedBatch{To: f.to, Nonce: f.nonce} }

// token returns the name under which ClickHouse takes the batch once.
func (b *batcher) token(f *batch) string {
	token := fmt.Sprintf("%s:%d-%d", b.in.Node(), f.first, f.last)
	if f.nonce != 0 {
		token += fmt.Sprintf(":%016x", f.nonce)
	}
	return token
}

// startLoad loads the next batch, with the bounds and the nonce that were fixed before, else as many
// entries as make a full batch.
func (b *batcher) startLoad() {
	f := &batch{rows: b.free[len(b.free)-1]}
	b.free = b.free[:len(b.free)-1]
	b.mu.Lock()
	f.from = b.planned + 1
	upTo, rowsMax := b.last, b.in.cfg.BatchRowsMax
	b.mu.Unlock()
	if len(b.restored) > 0 {
		upTo, rowsMax, f.nonce = b.restored[0].To, math.MaxInt, b.restored[0].Nonce
		f.answered, f.unsure = b.restoredAt, true
	} else {
		f.nonce = b.in.cfg.nonce()
	}
	doubted := b.in.log.doubted(f.from)
	if doubted || b.in.log.asked(f.from) {
		f.answered = time.Unix(0, 0) // then the ledger is asked what it has of it
	}
	b.loading = true
	b.work.Go(func() {
		if doubted && !b.outlast() {
			return
		}
		if b.retry("read the log", func() error { return b.load(f, upTo, rowsMax) }) {
			b.loaded <- f
		}
	})
}

// outlast waits until no insert of an earlier process can be under way, unseen by who asks the ledger;
// false when the batcher was told to end.
func (b *batcher) outlast() bool {
	select {
	case <-time.After(time.Until(b.opened.Add(b.in.cfg.InsertTimeout))):
		return true
	case <-b.ctx.Done():
		return false
	}
}

// load reads entries from f.from to upTo, or fewer when there are rowsMax rows before.
func (b *batcher) load(f *batch, upTo uint64, rowsMax int) error {
	f.rows.Reset()
	f.bytes, f.events, f.first, f.oldest = 0, 0, 0, time.Time{}
	for index := f.from; index <= upTo && f.rows.Rows() < rowsMax; index++ {
		e, size, err := b.in.log.read(index)
		if err != nil {
			return err
		}
		if err := appendEntry(f.rows, e, b.in.Node(), nil); err != nil {
			return fmt.Errorf("log: entry %d: %w", index, err)
		}
		if f.first == 0 {
			f.first = e.first
		}
		f.to, f.last = index, e.next()-1
		f.bytes += int64(size)
		f.events += int64(e.count)
	}
	f.oldest = f.rows.FirstIngested()
	return nil
}

// appendEntry adds the rows of an entry of a node's log, but for the events of some sequences.
func appendEntry(
	rows *queries.EventBatch, e entry, node uuid.UUID, without map[uint64]struct{},
) error {
	var event schema.Event
	r := reader{rest: e.events}
	for i := range e.count {
		if _, err := r.event(&event); err != nil {
			return err
		}
		if _, skip := without[e.first+i]; len(without) == 0 || !skip {
			rows.Append(&event, node, e.first+i)
		}
	}
	return nil
}

// plan takes up what was loaded: what comes after it is for the next batch.
func (b *batcher) plan(f *batch) {
	b.loading, b.next = false, f
	b.toStore()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.planned = f.to
	b.waiting -= f.events
}
