package queries_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestPagesAreTheWholeCutUp compares pages with what a plain list says: of records at the same and
// at distant times, among other usage, amended, voided, and accepted by two nodes and swept. When
// what comes before a page's hours was not taken off its offset, when of the last of its hours only
// the first quarter was read, and when no reversal was looked for, it failed.
func TestPagesAreTheWholeCutUp(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	r := rand.New(rand.NewPCG(1, 2))
	w := recordsWorld{r: r, organization: named("acme"), start: at(t, "2026-03-27T22:10:00Z")}
	for range 400 {
		w.event(t)
	}
	if err := q.InsertEvents(t.Context(), "all", &w.batch); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(w.live, func(a, b queries.UsageRecord) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	for i := range 60 {
		p := queries.UsageRecordsParams{
			Organization: w.organization,
			Offset:       r.Uint64N(uint64(len(w.live)) + 5), Limit: 1 + r.Uint64N(40),
		}
		if i == 0 {
			p.Offset, p.Limit = 0, 1000
		}
		want := w.live
		if i%3 == 1 {
			p.User = w.user(i)
			p.Offset /= 4
			want = slices.DeleteFunc(slices.Clone(want), func(u queries.UsageRecord) bool {
				return u.User != p.User
			})
		}
		want = want[min(p.Offset, uint64(len(want))):]
		want = want[:min(p.Limit, uint64(len(want)))]
		got, err := q.UsageRecords(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(slices.Clip(want), got, cmp.Comparer(func(a, b schema.Quantity) bool {
			return a == b
		}), cmp.Comparer(func(a, b schema.USD) bool { return a == b })); diff != "" &&
			len(got)+len(want) > 0 {
			t.Fatalf("%+v (-want +got):\n%s", p, diff)
		}
	}
	for _, p := range []queries.UsageRecordsParams{
		{Organization: w.organization, Offset: 1<<63 - 1, Limit: 1000},
		{Organization: w.organization, Offset: 1<<64 - 1, Limit: 1<<64 - 1},
		{Organization: named("other"), Limit: 1000},
	} {
		if got, err := q.UsageRecords(t.Context(), p); err != nil || len(got) > 0 {
			t.Errorf("%+v: %d records, %v; want none", p, len(got), err)
		}
	}
}

// recordsWorld makes events and keeps what of them a list has to show.
type recordsWorld struct {
	r            *rand.Rand
	organization uuid.UUID
	start        time.Time
	sequence     uint64
	batch        queries.EventBatch
	live         []queries.UsageRecord
}

func (w *recordsWorld) user(i int) uuid.UUID { return named(fmt.Sprint("user ", i%4)) }

func (w *recordsWorld) append(e schema.Event, node string) {
	w.sequence++
	w.batch.Append(&e, named(node), w.sequence)
}

// event adds one event: of one kind in three no record, of others one that was changed since.
func (w *recordsWorld) event(t *testing.T) {
	w.sequence++
	e := schema.Event{
		Organization: w.organization, ID: named(fmt.Sprint("event ", w.sequence)),
		User: w.user(w.r.IntN(4)), Entry: schema.Record,
		Time: w.start.Add(time.Duration(w.r.IntN(300)) * 17 * time.Minute), IngestTime: w.start,
		Measurements: []schema.Measurement{{
			UsageType: schema.Units, Quantity: schema.WholeQuantity(int64(w.sequence)),
			BilledCost: usd(t, "0.5"),
		}},
	}
	if w.r.IntN(3) > 0 {
		e.Agent = named(fmt.Sprint("agent ", w.r.IntN(3)))
	}
	if w.r.IntN(3) == 0 {
		e.Measurements[0].UsageType = schema.Input
		w.append(e, "node 1")
		return
	}
	first := w.sequence
	w.batch.Append(&e, named("node 1"), first)
	if w.r.IntN(5) == 0 { // accepted twice, and swept
		again := e
		again.Time = e.Time.Add(time.Duration(w.r.IntN(2)) * 50 * time.Minute)
		w.sequence++
		w.batch.Append(&again, named("node 2"), w.sequence)
		back := reversed(again)
		w.batch.Append(&back, named("node 2"), w.sequence)
	}
	for w.r.IntN(4) == 0 { // amended
		w.correct(reversed(e))
		e.Revision++
		e.Measurements = slices.Clone(e.Measurements)
		e.Measurements[0].Quantity = schema.WholeQuantity(int64(w.sequence + 1000))
		w.correct(e)
	}
	if w.r.IntN(6) == 0 {
		w.correct(reversed(e))
		return
	}
	w.live = append(w.live, queries.UsageRecord{
		ID: e.ID, User: e.User, Units: e.Measurements[0].Quantity, CostUSD: usd(t, "0.5"),
		Time: e.Time, Revision: e.Revision,
	})
}

func (w *recordsWorld) correct(e schema.Event) {
	w.sequence++
	w.batch.Append(&e, schema.CorrectionsNode(w.organization), w.sequence)
}
