package corrections

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// draft is a correction before it has a number: of one event or of many.
type draft struct {
	entries []byte // encoded as in the log
	events  uint32
	ids     map[uuid.UUID]bool // of the events, once they are asked for
}

// replace adds the reversal of an event's current revision and, unless it is nil, the next.
func (d *draft) replace(current schema.Event, next *schema.Event, now time.Time) {
	reversal := reversalOf(current, now)
	d.entries = ingest.AppendEvent(d.entries, &reversal)
	if next != nil {
		d.entries = ingest.AppendEvent(d.entries, next)
	}
	d.events++
}

// takeBack adds the reversal of a copy of an event.
func (d *draft) takeBack(extra queries.Copy, now time.Time) {
	reversal := reversalOf(extra.Event, now)
	d.entries = ingest.AppendCopy(d.entries, &reversal, extra.Origin)
	d.events++
}

// reversalOf returns what takes a revision back: all of it but the sign of what was used and cost,
// so that every sum it is in loses it.
func reversalOf(e schema.Event, now time.Time) schema.Event {
	e = copied(e)
	e.Entry, e.IngestTime = schema.Reversal, now
	for i := range e.Measurements {
		m := &e.Measurements[i]
		m.Quantity = m.Quantity.Neg()
		m.ProviderCost = m.ProviderCost.Neg()
		m.BilledCost = m.BilledCost.Neg()
	}
	return e
}

// follow makes an event the revision after current: what never changes is current's.
func follow(e *schema.Event, current schema.Event, now time.Time) {
	e.Organization, e.ID, e.Time = current.Organization, current.ID, current.Time
	e.Revision, e.Entry, e.IngestTime = current.Revision+1, schema.Record, now
	e.Key = ""
}

// copied returns an event with measurements of its own.
func copied(e schema.Event) schema.Event {
	e.Measurements = slices.Clone(e.Measurements)
	return e
}

// same reports whether two revisions of an event say the same of it.
func same(a, b schema.Event) bool {
	return slices.Equal(a.Measurements, b.Measurements) &&
		reflect.DeepEqual(described(a), described(b))
}

// described is what can change of an event but its measurements.
func described(e schema.Event) schema.Event {
	e.Organization, e.ID, e.Revision, e.Entry = uuid.Nil, uuid.Nil, 0, 0
	e.Time, e.IngestTime = time.Time{}, time.Time{}
	e.Key, e.Measurements = "", nil
	return e
}
