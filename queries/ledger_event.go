package queries

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Origin says where entries of the ledger come from: an event of a node's log, or a correction.
type Origin struct {
	Node     uuid.UUID
	Sequence uint64
}

// Copy is an event as one node accepted it.
type Copy struct {
	Origin
	Event schema.Event
}

// ledgerEvent is the ledger's entries about one event, as far as they were asked for, and what they
// mean. The zero value has none.
type ledgerEvent struct {
	id        uuid.UUID
	records   []ledgerEntries // in the order of revision, ingest time, node, sequence
	reversals []ledgerEntries // likewise
}

// ledgerEntries are the entries of one revision of one origin.
type ledgerEntries struct {
	Copy
	actor, reason string
}

func (e ledgerEntries) sameEntries(other ledgerEntries) bool {
	return e.Origin == other.Origin && e.Event.Revision == other.Event.Revision
}

// add adds an entry, which comes in the order of revision, records before reversals, ingest time,
// node, sequence, ordinal.
func (l *ledgerEvent) add(r entryRow) {
	r.measurement.Pricing = schema.Pricing(r.pricing)
	r.event.Entry = schema.Entry(r.entry)
	to := &l.records
	if r.event.Entry == schema.Reversal {
		to = &l.reversals
	}
	if last := len(*to) - 1; last >= 0 {
		e := &(*to)[last]
		if e.Origin == r.origin && e.Event.Revision == r.event.Revision {
			e.Event.Measurements = append(e.Event.Measurements, r.measurement)
			return
		}
	}
	r.event.Measurements = []schema.Measurement{r.measurement}
	*to = append(*to, ledgerEntries{Copy: Copy{r.origin, r.event}})
}

// corrections returns the numbers of the corrections that made entries of the event.
func (l *ledgerEvent) corrections(node uuid.UUID) (numbers []uint64) {
	for _, e := range slices.Concat(l.records, l.reversals) {
		if e.Node == node && !slices.Contains(numbers, e.Sequence) {
			numbers = append(numbers, e.Sequence)
		}
	}
	return numbers
}

// explain adds to the entries of corrections who made them, and why.
func (l *ledgerEvent) explain(node uuid.UUID, reasons []correctionReason) {
	for _, entries := range [][]ledgerEntries{l.records, l.reversals} {
		for i := range entries {
			for _, r := range reasons {
				if entries[i].Node == node && entries[i].Sequence == r.number {
					entries[i].actor, entries[i].reason = r.actor, r.reason
				}
			}
		}
	}
}

// revisions returns every revision once. Of the copies of one, it is the one that stays.
func (l *ledgerEvent) revisions() (all []Revision) {
	for from := 0; from < len(l.records); {
		to := l.sameRevision(from)
		if stays := l.stays(from, to); stays >= 0 {
			all = append(all, l.revision(l.records[stays]))
		}
		from = to
	}
	return all
}

// extra returns the copies of the first record that are neither taken back nor the one that stays:
// one of those that were accepted while their key was known, for a window. Only first records have
// copies: a correction is made once.
func (l *ledgerEvent) extra(window time.Duration) (all []Copy) {
	if len(l.records) == 0 || l.records[0].Event.Revision != 0 {
		return nil
	}
	again := window - time.Minute // nodes know it to the second
	to := l.sameRevision(0)
	corrected := -1
	if _, ok := l.corrected(0); ok {
		corrected = l.stays(0, to)
	}
	for from := 0; from < to; {
		end := from + 1
		for end < to && l.records[end].Event.IngestTime.Sub(
			l.records[end-1].Event.IngestTime) < again {
			end++
		}
		stays := corrected
		if stays < from || stays >= end {
			stays = l.stays(from, end)
		}
		for i := from; i < end; i++ {
			if i != stays && !l.takenBack(l.records[i]) {
				all = append(all, l.records[i].Copy)
			}
		}
		from = end
	}
	return all
}

// sameRevision returns where the records end that are of the same revision as the one at from.
func (l *ledgerEvent) sameRevision(from int) int {
	to := from + 1
	for to < len(l.records) && l.records[to].Event.Revision == l.records[from].Event.Revision {
		to++
	}
	return to
}

// stays returns which of the records [from, to) of one revision stays: the one that a correction
// took back, to amend or void it, else the first that is there; -1: none is.
func (l *ledgerEvent) stays(from, to int) int {
	first := -1
	reversal, corrected := l.corrected(l.records[from].Event.Revision)
	for i := from; i < to; i++ {
		r := l.records[i]
		if l.takenBack(r) {
			continue
		}
		if !corrected || cancels(reversal.Event, r.Event) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// takenBack reports whether a record is a copy that a sweep took back: the reversal is of the same
// origin, where a correction's has one of its own.
func (l *ledgerEvent) takenBack(r ledgerEntries) bool {
	return slices.ContainsFunc(l.reversals, r.sameEntries)
}

// corrected returns the reversal by which a correction ended a revision.
func (l *ledgerEvent) corrected(revision uint32) (ledgerEntries, bool) {
	for _, reversal := range l.reversals {
		if reversal.Event.Revision == revision &&
			!slices.ContainsFunc(l.records, reversal.sameEntries) {
			return reversal, true
		}
	}
	return ledgerEntries{}, false
}

func (l *ledgerEvent) revision(r ledgerEntries) Revision {
	revision := Revision{Event: r.Event, Actor: r.actor, Reason: r.reason}
	if by, ok := l.corrected(r.Event.Revision); ok {
		revision.Reversed = true
		revision.ReversedAt = by.Event.IngestTime
		revision.ReversedBy, revision.ReversedReason = by.actor, by.reason
	}
	return revision
}

// cancels reports whether a reversal repeats a record with the sign turned.
func cancels(reversal, record schema.Event) bool {
	if len(reversal.Measurements) != len(record.Measurements) {
		return false
	}
	for i, m := range record.Measurements {
		back := reversal.Measurements[i]
		if back.Quantity.Neg() != m.Quantity || back.ProviderCost.Neg() != m.ProviderCost ||
			back.BilledCost.Neg() != m.BilledCost {
			return false
		}
		back.Quantity, back.ProviderCost, back.BilledCost = m.Quantity, m.ProviderCost, m.BilledCost
		if back != m {
			return false
		}
	}
	for _, e := range []*schema.Event{&reversal, &record} {
		e.Time, e.IngestTime = e.Time.UTC(), time.Time{}
		e.Entry, e.Measurements = schema.Record, nil
	}
	return reflect.DeepEqual(reversal, record)
}
