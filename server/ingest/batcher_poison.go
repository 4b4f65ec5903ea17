package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// A batch is poison when ClickHouse refuses what is in it, and takes something else: then it will
// never be stored as it is, and everything behind it would wait for ever. When ClickHouse takes
// nothing else either, the fault is not the batch's: a table was altered, say. Then all wait.

// doubtTries is how often a batch is refused before it is doubted.
const doubtTries = 5

// doubt is what is known of a batch that is refused.
type doubt struct {
	batcher *batcher
	refused int
	since   time.Time // of the first refusal
	before  uint64    // what ClickHouse had accepted when the try began
	last    uint64    // and at the last refusal
}

// begin is called before a try.
func (d *doubt) begin() { d.before = d.batcher.accepted.Load() }

// proven is called with a try's outcome and reports whether the batch is poison: it was refused
// often and for long, something else was accepted then, and it was refused once more after that.
func (d *doubt) proven(err error) bool {
	if !queries.Refused(err) {
		return false
	}
	b := d.batcher
	between := d.before > d.last
	d.last = b.accepted.Load()
	if d.refused++; d.refused == 1 {
		d.since = time.Now()
		return false
	}
	if d.refused < doubtTries || time.Since(d.since) < b.in.cfg.poisonAge {
		return false
	}
	if between {
		return true
	}
	b.probe()
	return false
}

// probe inserts an event of no organization, no quantity and no cost, to see whether ClickHouse
// takes anything. It stays in the ledger, where it adds nothing to what anybody reads; as a later
// revision it is no event of any log.
func (b *batcher) probe() {
	now := b.in.cfg.Now().UTC()
	id, err := uuid.NewV7()
	if err != nil {
		return
	}
	probe := schema.Event{
		ID: id, Revision: 1, Entry: schema.Record, Time: now, IngestTime: now, Chargeable: true,
		Measurements: []schema.Measurement{{UsageType: "PROBE", Pricing: schema.Given}},
	}
	var rows queries.EventBatch
	rows.Append(&probe, uuid.Nil, 0)
	ctx, cancel := context.WithTimeout(b.ctx, b.in.cfg.InsertTimeout)
	defer cancel()
	if err := b.in.cfg.Store.InsertEvents(ctx, "probe:"+id.String(), &rows); err != nil {
		b.in.cfg.Logger.Error("the database refuses every batch: nothing can be stored until its "+
			"tables are as `meterhouse migrate` made them; nothing is lost, the log keeps it",
			"error", err)
		return
	}
	b.accepted.Add(1)
}

// setAside takes a batch out of the way.
func (b *batcher) setAside(f *batch, token string, cause error) error {
	var parts [][]byte
	for index := f.from; index <= f.to; index++ {
		e, _, err := b.in.log.read(index)
		if err != nil {
			return err
		}
		data := append(make([]byte, entryHeader, entryHeader+len(e.events)), e.events...)
		sealEntry(data, e.first, uint32(e.count))
		parts = append(parts, data)
	}
	path, err := setAside(b.in.cfg.Dir, SetAside{
		Kind: KindBatch, Node: b.in.Node(), First: f.first, Last: f.last, Events: uint64(f.events),
		Token: token, Error: cause.Error(), At: b.in.cfg.Now().UTC(),
	}, parts)
	if err != nil {
		return err
	}
	b.in.metrics.eventsAside.Add(float64(f.events))
	b.in.cfg.Logger.Error("the database refuses a batch and takes others: it is set aside; mend "+
		"what the error says, then run `meterhouse replay`",
		"file", path, "events", f.events, "sequences", fmt.Sprintf("%d-%d", f.first, f.last),
		"error", cause)
	return nil
}
