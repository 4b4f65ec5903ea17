package queries_test

import (
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

// eventsWorld makes events that were amended, moved to other agents and users, voided, and accepted
// by two nodes, many of them at one time.
type eventsWorld struct {
	r            *rand.Rand
	organization uuid.UUID
	start        time.Time
	sequence     uint64
	batch        queries.EventBatch
	newest       []queries.Revision // of every event, as far as it matters here
}

func (w *eventsWorld) append(e schema.Event, node string) {
	w.sequence++
	w.batch.Append(&e, named(node), w.sequence)
}

func (w *eventsWorld) correct(e schema.Event) {
	w.sequence++
	w.batch.Append(&e, schema.CorrectionsNode(w.organization), w.sequence)
}

func (w *eventsWorld) one(names ...string) string { return names[w.r.IntN(len(names))] }

func (w *eventsWorld) describe(e *schema.Event) {
	e.Agent = named(w.one("agent 1", "agent 2", "agent 3"))
	e.User = named(w.one("user 1", "user 2", "user 3"))
	e.Model, e.Service = w.one("a", "a", "a", "b"), w.one("", "", "s")
	e.Measurements = []schema.Measurement{
		{UsageType: schema.Input, Quantity: schema.WholeQuantity(w.r.Int64N(100))},
	}
	if w.r.IntN(2) == 0 {
		e.Measurements = append(e.Measurements, schema.Measurement{
			UsageType: schema.Output, Quantity: schema.WholeQuantity(1),
		})
	}
}

func (w *eventsWorld) event() {
	e := schema.Event{
		Organization: w.organization, ID: named(fmt.Sprint("event ", len(w.newest))),
		Entry: schema.Record, IngestTime: w.start,
		Time: w.start.Add(time.Duration(w.r.IntN(40)) * 7 * time.Minute),
	}
	if w.r.IntN(4) == 0 { // and weeks of nothing
		e.Time = e.Time.AddDate(0, 0, -7*w.r.IntN(20))
	}
	w.describe(&e)
	w.append(e, "node 1")
	if w.r.IntN(8) == 0 {
		again := e
		again.Time, again.IngestTime = e.Time.Add(time.Hour), e.IngestTime.Add(time.Second)
		w.append(again, "node 2") // and not swept yet
	}
	for w.r.IntN(3) == 0 {
		w.correct(reversed(e))
		e.Revision++
		w.describe(&e)
		w.correct(e)
	}
	voided := w.r.IntN(5) == 0
	if voided {
		w.correct(reversed(e))
	}
	w.newest = append(w.newest, queries.Revision{Event: e, Reversed: voided})
}

func eventText(r queries.Revision) string {
	e := r.Event
	return fmt.Sprint(e.Time.UTC(), e.ID, e.Revision, r.Reversed, e.Agent, e.User, e.Model, e.Service,
		len(e.Measurements))
}

// walk reads all pages and returns what they show.
func walk(t *testing.T, q *queries.Queries, p queries.EventsParams) (all []string) {
	t.Helper()
	last := p.Before.Time
	for pages := 0; ; pages++ {
		page, err := q.Events(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Events {
			if r.Event.Time.After(last) {
				t.Fatalf("%v comes after %v", r.Event.Time, last)
			}
			last = r.Event.Time
			all = append(all, eventText(r))
		}
		if page.Next == nil {
			return all
		}
		if len(page.Events) > p.Limit || pages > 1000 {
			t.Fatalf("%d events on page %d of %d", len(page.Events), pages, p.Limit)
		}
		p.Before = *page.Next
	}
}

// TestEventsComeOncePageByPage compares what pages show, whatever their size, with what was made of
// each event. It failed when a page went on from its last event's time alone (events of one time
// were lost), when the newest revision was not asked whether it is what was asked for (what was
// another agent's came), when the place of a copy was taken for the event's (it came out of order),
// and when of a window only the first places were looked at (events were lost).
func TestEventsComeOncePageByPage(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	w := eventsWorld{
		r: rand.New(rand.NewPCG(3, 4)), organization: named("acme"),
		start: at(t, "2026-03-27T22:10:00Z"),
	}
	for range 140 {
		w.event()
	}
	if err := q.InsertEvents(t.Context(), "all", &w.batch); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		p := queries.EventsParams{
			Organization: w.organization, From: w.start.AddDate(0, 0, -150),
			Before: queries.EventPosition{Time: w.start.AddDate(0, 0, 1)},
			Limit:  []int{9, 40, 200}[i%3], Voided: i%4 == 3,
		}
		if i%2 == 1 {
			p.From = w.start.Add(-time.Duration(w.r.IntN(40*24)) * time.Hour)
			p.Before.Time = w.start.Add(time.Duration(w.r.IntN(300)) * time.Minute)
		}
		if w.r.IntN(3) == 0 {
			p.Agent = named("agent 1")
		}
		if w.r.IntN(3) == 0 {
			p.User = named("user 2")
		}
		p.Model, p.Service = w.one("", "", "b"), w.one("", "", "s")
		p.UsageType = w.one("", "", schema.Output)
		var want []string
		for _, r := range w.newest {
			e := &r.Event
			if !e.Time.Before(p.From) && e.Time.Before(p.Before.Time) && (p.Voided || !r.Reversed) &&
				(p.Agent == uuid.Nil || p.Agent == e.Agent) &&
				(p.User == uuid.Nil || p.User == e.User) && (p.Model == "" || p.Model == e.Model) &&
				(p.Service == "" || p.Service == e.Service) &&
				(p.UsageType == "" || len(e.Measurements) == 2) {
				want = append(want, eventText(r))
			}
		}
		got := walk(t, q, p)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" && len(got)+len(want) > 0 {
			t.Errorf("%+v (-want +got):\n%s", p, diff)
		}
	}
	other := queries.EventsParams{
		Organization: named("other"), Before: queries.EventPosition{Time: w.start}, Limit: 10,
	}
	if got := walk(t, q, other); len(got) > 0 {
		t.Errorf("another organization sees %d", len(got))
	}
}
