package queries_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// copies puts entries about one event into the ledger. The events' APIName tells them apart.
type copies struct {
	t     *testing.T
	q     *queries.Queries
	event schema.Event
	start time.Time // not long ago: old keys are not kept
	rows  int
}

func newCopies(t *testing.T, q *queries.Queries, name string) *copies {
	t.Helper()
	start := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	return &copies{t: t, q: q, start: start, event: schema.Event{
		Organization: named("acme"), ID: schema.EventID(named("acme"), name), Entry: schema.Record,
		Agent: named("agent"), Service: "s", User: named("ada"), Chargeable: true,
		Measurements: []schema.Measurement{
			{UsageType: schema.Units, Quantity: schema.WholeQuantity(7), BilledCost: usd(t, "0.5")},
			{UsageType: schema.Input, Quantity: schema.WholeQuantity(3)},
		},
	}}
}

// put adds an entry: of a node's log, or of a correction where node is empty.
func (c *copies) put(e schema.Event, node string, sequence uint64) {
	c.t.Helper()
	c.rows++
	origin := named(node)
	if node == "" {
		origin = schema.CorrectionsNode(e.Organization)
	}
	var b queries.EventBatch
	b.Append(&e, origin, sequence)
	if err := c.q.InsertEvents(c.t.Context(), fmt.Sprint(e.ID, c.rows), &b); err != nil {
		c.t.Fatal(err)
	}
}

// copy returns the event as accepted some minutes after the start, with a name of its own.
func (c *copies) copy(minutes int, name string) schema.Event {
	e := c.event
	e.APIName = name
	e.Time = c.start.Add(time.Duration(minutes) * time.Minute)
	e.IngestTime = e.Time
	return e
}

// shows fails the test unless the event's revisions and its extra copies are these.
func (c *copies) shows(revisions, extra []string) {
	c.t.Helper()
	all, err := c.q.EventRevisions(c.t.Context(), queries.EventParams{
		Organization: c.event.Organization, Event: c.event.ID,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, r := range all {
		if n := len(r.Event.Measurements); n != 2 {
			c.t.Errorf("revision %d has %d measurements, want 2", r.Event.Revision, n)
		}
		got = append(got, fmt.Sprint(r.Event.Revision, " ", r.Event.APIName, " ", r.Reversed))
	}
	if diff := cmp.Diff(revisions, got); diff != "" {
		c.t.Errorf("revisions (-want +got):\n%s", diff)
	}
	doubled, err := c.q.DoubledEvents(c.t.Context(), []uuid.UUID{c.event.ID, named("other")})
	if err != nil || len(doubled) > 1 {
		c.t.Fatalf("DoubledEvents = %+v, %v", doubled, err)
	}
	got = nil
	for _, d := range doubled {
		found, err := c.q.ExtraCopies(c.t.Context(), queries.DoubledParams{
			Organization: d.Organization, Events: []uuid.UUID{d.Event}, Times: d.Times,
			Window: 34 * 24 * time.Hour,
		})
		if err != nil {
			c.t.Fatal(err)
		}
		for _, copy := range found {
			got = append(got, fmt.Sprint(copy.Event.APIName, " ", copy.Sequence))
		}
	}
	if diff := cmp.Diff(extra, got); diff != "" {
		c.t.Errorf("extra copies (-want +got):\n%s", diff)
	}
}

// TestOneCopyStays is what an event's entries mean while there are several copies of its first
// record. With EventRevisions as it was, the second copy's measurements were added to the first's.
func TestOneCopyStays(t *testing.T) {
	t.Parallel()
	_, q := open(t)

	c := newCopies(t, q, "the first stays")
	late, first, later := c.copy(2, "late"), c.copy(0, "first"), c.copy(3, "later")
	c.put(late, "node 1", 4)
	c.shows([]string{"0 late false"}, nil)
	c.put(first, "node 2", 9)
	c.put(later, "node 3", 1)
	c.shows([]string{"0 first false"}, []string{"late 4", "later 1"})
	c.put(reversed(later), "node 3", 1)
	c.shows([]string{"0 first false"}, []string{"late 4"})
	c.put(reversed(late), "node 1", 4)
	c.shows([]string{"0 first false"}, nil)

	c = newCopies(t, q, "what was amended stays")
	first, late = c.copy(0, "first"), c.copy(2, "late")
	amended := late
	amended.Revision, amended.APIName = 1, "amended"
	c.put(late, "node 1", 1)
	c.put(reversed(late), "", 1)
	c.put(amended, "", 1)
	c.put(first, "node 2", 1) // it was in a log all the while
	c.shows([]string{"0 late true", "1 amended false"}, []string{"first 1"})
	c.put(reversed(first), "node 2", 1)
	c.shows([]string{"0 late true", "1 amended false"}, nil)

	c = newCopies(t, q, "what was voided stays voided")
	first, late = c.copy(0, "first"), c.copy(2, "late")
	c.put(first, "node 1", 1)
	c.put(reversed(first), "", 2)
	c.put(late, "node 2", 1)
	c.shows([]string{"0 first true"}, []string{"late 1"})
	c.put(reversed(late), "node 2", 1)
	c.shows([]string{"0 first true"}, nil)

	c = newCopies(t, q, "a forgotten key is another event's")
	const days = 24 * 60
	c.put(c.copy(-36*days, "first"), "node 1", 1)
	c.put(c.copy(-35*days, "late"), "node 2", 1)
	c.put(c.copy(0, "again"), "node 1", 2)
	c.put(c.copy(1, "again, late"), "node 2", 2)
	c.shows([]string{"0 first false"}, []string{"late 1", "again, late 2"})

	c = newCopies(t, q, "one node may accept a key twice")
	first = c.copy(0, "same")
	c.put(first, "node 1", 1)
	c.put(first, "node 1", 2)
	c.shows([]string{"0 same false"}, []string{"same 2"})
}

// TestDoubledKeysFindsThem asks without knowing what to ask for.
func TestDoubledKeysFindsThem(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	c, other := newCopies(t, q, "doubled"), newCopies(t, q, "not doubled")
	c.put(c.copy(0, "a"), "node 1", 1)
	c.put(c.copy(0, "a"), "node 2", 1)
	other.put(other.copy(0, "b"), "node 1", 2)
	var found []uuid.UUID
	err := q.DoubledKeys(t.Context(), func(keys []queries.NodeKey, _ time.Duration) error {
		for _, k := range keys {
			found = append(found, k.Event)
		}
		return nil
	})
	if diff := cmp.Diff([]uuid.UUID{c.event.ID}, found); err != nil || diff != "" {
		t.Errorf("DoubledKeys: %v (-want +got):\n%s", err, diff)
	}
	keys, err := q.NodeKeys(t.Context(), queries.NodeKeysParams{
		Node: named("node 1"), After: 1, To: 2, Limit: 10,
	})
	if err != nil || len(keys) != 1 || keys[0].Event != other.event.ID || keys[0].Sequence != 2 {
		t.Errorf("NodeKeys = %+v, %v", keys, err)
	}
}

// TestHoldsAreKeptOneAfterTheOther has two holds at once, a node that keeps one and a node that
// went without a word.
func TestHoldsAreKeptOneAfterTheOther(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	ctx := t.Context()
	first, err := q.PlaceHold(ctx, queries.Hold{Reason: "one"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	second, err := q.PlaceHold(ctx, queries.Hold{Reason: "two"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.AwaitHold(ctx, first); err != nil { // nobody is there to wait for
		t.Error(err)
	}
	now, active, err := q.Hold(ctx)
	if err != nil || active.ID != first.ID {
		t.Errorf("Hold = %+v, %v, want the oldest", active, err)
	}
	say := func(n queries.Node) {
		t.Helper()
		if err := q.SayNode(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	say(queries.Node{ID: named("a"), SaidAt: now, Hold: first.ID})
	say(queries.Node{ID: named("gone"), SaidAt: now.Add(-time.Minute), Stopped: true})
	if err := q.AwaitHold(ctx, first); err != nil {
		t.Error(err)
	}
	if err := q.ReleaseHold(ctx, first); err != nil {
		t.Fatal(err)
	}
	if _, active, err = q.Hold(ctx); err != nil || active.ID != second.ID {
		t.Errorf("Hold = %+v, %v, want the next", active, err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := q.AwaitHold(short, second); err == nil {
		t.Error("a node that keeps another hold was not waited for")
	}
	say(queries.Node{ID: named("a"), SaidAt: now.Add(time.Second), Hold: second.ID})
	if err := q.AwaitHold(ctx, second); err != nil {
		t.Error(err)
	}
	say(queries.Node{ID: named("dead"), SaidAt: now.Add(-time.Minute)})
	if err := q.AwaitHold(ctx, second); !errors.Is(err, queries.ErrNodeAbsent) ||
		!strings.Contains(err.Error(), named("dead").String()) {
		t.Errorf("AwaitHold = %v, want the node's name", err)
	}
	if err := q.ForgetNode(ctx, named("dead")); err != nil {
		t.Fatal(err)
	}
	if err := q.AwaitHold(ctx, second); err != nil {
		t.Error(err)
	}
}

// TestOldKeysAreDropped keeps those of the week that a day is in.
func TestOldKeysAreDropped(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	c := newCopies(t, q, "event")
	monday := at(t, "2026-07-06T00:00:00Z")
	for i, hours := range []time.Duration{-1, 1, 7 * 24, 14 * 24} {
		e := c.copy(0, "a")
		e.IngestTime = monday.Add(hours * time.Hour)
		c.put(e, "node 1", uint64(i))
	}
	for _, want := range []int{2, 0} {
		n, err := q.DropKeys(t.Context(), monday.AddDate(0, 0, 10))
		if err != nil || n != want {
			t.Errorf("DropKeys = %d, %v, want %d weeks", n, err, want)
		}
	}
	if got := db.Strings("SELECT toString(count()) FROM event_keys")[0]; got != "2" {
		t.Errorf("%s keys are left, want 2", got)
	}
}
