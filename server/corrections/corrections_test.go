package corrections_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

func TestAmendAndVoid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	w.check(n, "1 1 10 0.75")

	made, err := n.Correct(t.Context(), addUnits(e, 5))
	if err != nil {
		t.Fatal(err)
	}
	if made.Event.Revision != 1 || made.By != "user:test" || made.Reason != "because" ||
		made.Event.Measurements[0].Quantity != schema.WholeQuantity(15) ||
		time.Since(made.At) > time.Minute || made.Voided || made.Reversed {
		t.Errorf("amended: %+v", made)
	}
	w.check(n, "1 1 15 0.75")

	made, err = n.Correct(t.Context(), change(e, func(e *schema.Event) {
		e.Measurements[0].Quantity = schema.Quantity{}
		e.Measurements[0].BilledCost = usd("0.1")
		e.Organization, e.ID, e.Time = globex, named("another"), time.Time{} // nobody's to change
		e.Revision, e.Entry, e.Key = 77, schema.Reversal, "key"
		e.APIName, e.User, e.Agent = "other", named("ben"), named("agent")
	}))
	if err != nil || made.Event.Revision != 2 {
		t.Fatalf("amended again: %+v, %v", made, err)
	}
	w.check(n, "1 1 0 0.1")

	made, err = n.Correct(t.Context(), void(e))
	if err != nil || !made.Voided || !made.Reversed || made.Event.Revision != 2 ||
		made.VoidedBy != "user:test" || made.VoidedReason != "wrong" || made.By != "user:test" {
		t.Fatalf("voided: %+v, %v", made, err)
	}
	w.check(n, "0 0 0 0")

	all := n.revisions(e)
	if len(all) != 3 {
		t.Fatalf("%d revisions, want 3: %+v", len(all), all)
	}
	last := all[2]
	if !last.Reversed || last.ReversedBy != "user:test" || last.ReversedReason != "wrong" ||
		!last.ReversedAt.Equal(made.VoidedAt) || all[1].Actor != "user:test" ||
		all[1].Reason != "because" || all[0].Actor != "" {
		t.Errorf("history: %+v", all)
	}
	for _, r := range all {
		if r.Event.ID != e.ID || !r.Event.Time.Equal(e.Time) || r.Event.Organization != acme {
			t.Errorf("identity changed: %+v", r.Event)
		}
	}
}

func TestWhatCannotBeCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	f := func(p dialect.CorrectParams, want schema.Kind) {
		t.Helper()
		if made, err := n.Correct(t.Context(), p); schema.KindOf(err) != want {
			t.Errorf("Correct = %+v, %v, want kind %v", made, err, want)
		}
	}
	f(addUnits(event("another", 1), 1), schema.NotFound)
	foreign := e
	foreign.Organization = globex
	f(addUnits(foreign, 1), schema.NotFound)
	f(addUnits(e, -11), schema.Invalid)
	f(change(e, func(e *schema.Event) { e.Measurements = nil }), schema.Invalid)
	f(change(e, func(e *schema.Event) { e.APIName = "a\nb" }), schema.Invalid)
	f(change(e, func(e *schema.Event) { e.Measurements[0].BilledCost = usd("-1") }), schema.Invalid)
	mine := errors.New("mine")
	p := void(e)
	p.Change = func(schema.Event) (*schema.Event, error) { return nil, mine }
	if _, err := n.Correct(t.Context(), p); err != mine {
		t.Errorf("Change's error came back as %v", err)
	}
	w.check(n, "1 1 10 0.75")
	if rows := w.db.Strings("SELECT toString(count()) FROM corrections")[0]; rows != "0" {
		t.Errorf("the journal has %s rows, want none", rows)
	}
	if _, err := n.Correct(t.Context(), void(e)); err != nil {
		t.Fatal(err)
	}
	f(void(e), schema.NotFound)
	f(addUnits(e, 1), schema.NotFound)
	w.check(n, "0 0 0 0")
}

func TestUnchangedIsNoCorrection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	e.Model = "known"
	e.Measurements = append(e.Measurements, schema.Measurement{
		UsageType: schema.Input, Quantity: schema.WholeQuantity(1_000_000),
	})
	n.record(e)
	for _, edit := range []func(*schema.Event){
		func(*schema.Event) {},
		func(e *schema.Event) { // priced anew, by the same rate
			m := &e.Measurements[1]
			*m = schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}
		},
	} {
		made, err := n.Correct(t.Context(), change(e, edit))
		if err != nil || made.Event.Revision != 0 || made.By != "" {
			t.Errorf("unchanged: %+v, %v", made, err)
		}
	}
	if rows := w.db.Strings("SELECT toString(count()) FROM corrections")[0]; rows != "0" {
		t.Errorf("the journal has %s rows, want none", rows)
	}
	w.check(n, "1 2 1000010 3.75")

	// A new quantity whose cost is left to us is priced by the rate of the event's time.
	made, err := n.Correct(t.Context(), change(e, func(e *schema.Event) {
		e.Measurements[1] = schema.Measurement{
			UsageType: schema.Input, Quantity: schema.WholeQuantity(2_000_000),
		}
	}))
	if err != nil || made.Event.Measurements[1].Pricing != schema.Rated {
		t.Fatalf("priced: %+v, %v", made, err)
	}
	w.check(n, "1 2 2000010 6.75")
}

// An event may be corrected when it is older than one that is new may be.
func TestOldEventsCanBeCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("old", 10)
	e.Time = eventTime.Add(-500 * 24 * time.Hour)
	var batch queries.EventBatch
	batch.Append(&e, named("node"), 1)
	if err := n.queries.InsertEvents(t.Context(), "old", &batch); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
		t.Fatal(err)
	}
	w.check(n, "1 1 11 0.75")
}

// An event that was acknowledged a moment ago can be corrected at once.
func TestAcknowledgedIsCorrectable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	for i := range 5 {
		e := event(fmt.Sprint("fresh ", i), 10)
		if _, err := n.ingest.Record(t.Context(), []schema.Event{e}, true); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	w.check(n, "5 5 55 3.75")
}

// TestEverySuccessIsItsOwnRevision has many writers on two nodes correct one event, and events of
// one organization, at once.
func TestEverySuccessIsItsOwnRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*node{w.node(), w.node()}
	shared := event("shared", 0)
	others := []schema.Event{event("a", 0), event("b", 0), event("c", 0)}
	nodes[0].record(append(others, shared)...)
	const writers, rounds = 8, 3
	var mu sync.Mutex
	seen := make(map[uuid.UUID]map[uint32]int)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for round := range rounds {
				e := shared
				if round == 1 {
					e = others[i%len(others)]
				}
				made, err := nodes[i%2].Correct(t.Context(), addUnits(e, 1))
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				mu.Lock()
				if seen[e.ID] == nil {
					seen[e.ID] = make(map[uint32]int)
				}
				seen[e.ID][made.Event.Revision]++
				mu.Unlock()
			}
		})
	}
	stop := w.watch(nodes[1])
	group.Wait()
	stop()
	for id, revisions := range seen {
		for revision := range len(revisions) {
			if revisions[uint32(revision+1)] != 1 {
				t.Errorf("event %s: revisions %v, want each once", id, revisions)
			}
		}
	}
	if n := len(seen[shared.ID]); n != writers*(rounds-1) {
		t.Errorf("%d revisions of the shared event, want %d", n, writers*(rounds-1))
	}
	w.check(nodes[0], fmt.Sprintf("4 4 %d 3", writers*rounds))
}

// watch reads every table's totals until it is stopped: corrections that add one to a quantity of
// four events show as whole events with their costs, at every moment, and never less than before.
func (w *world) watch(n *node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		before := make(map[string]int)
		for ctx.Err() == nil {
			for _, table := range tables {
				var events, measurements, quantity int
				var billed string
				total := w.total(table)
				if _, err := fmt.Sscan(total, &events, &measurements, &quantity, &billed); err != nil ||
					events != 4 || measurements != 4 || billed != "3" || quantity < before[table] {
					w.t.Errorf("%s holds %q after a quantity of %d", table, total, before[table])
				}
				before[table] = quantity
			}
		}
	}()
	return func() { cancel(); <-done }
}

// A node that waits for its turn, or loses for ever, ends with its context.
func TestCorrectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	n.record(e)
	waiting, release := make(chan struct{}), make(chan struct{})
	p := void(e)
	p.Change = func(e schema.Event) (*schema.Event, error) {
		close(waiting)
		<-release
		return &e, nil
	}
	first := make(chan error)
	go func() { _, err := n.Correct(t.Context(), p); first <- err }()
	<-waiting
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := n.Correct(ctx, addUnits(e, 1))
	var unavailable *schema.Error
	if !errors.As(err, &unavailable) || unavailable.Kind != schema.Unavailable ||
		unavailable.RetryAfter == 0 {
		t.Errorf("a correction behind another ended with %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.check(n, "1 1 10 0.75")
}

// The reversal is the record but for its sign: what it takes back is in the same rows of rollups.
func TestReversalIsTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node()
	e := event("one", 10)
	e.Model, e.Service, e.Channel, e.Provider, e.Agent = "known", "s", "c", "p", named("agent")
	e.Measurements = append(e.Measurements,
		schema.Measurement{UsageType: schema.Input, Quantity: schema.WholeQuantity(7)},
		schema.Measurement{UsageType: "TYPE", Quantity: schema.WholeQuantity(8)})
	n.record(e)
	if _, err := n.Correct(t.Context(), void(e)); err != nil {
		t.Fatal(err)
	}
	both := w.db.Strings(`SELECT formatRow('TSV', COLUMNS('.*') EXCEPT (entry, ingest_time, node,
		sequence, quantity, provider_cost, billed_cost), quantity * toInt8(entry),
		provider_cost * toInt8(entry), billed_cost * toInt8(entry))
		FROM usage_events ORDER BY entry, ordinal`)
	if diff := cmp.Diff(both[:3], both[3:]); len(both) != 6 || diff != "" {
		t.Errorf("%d rows (-reversal +record):\n%s", len(both), diff)
	}
	node := schema.CorrectionsNode(acme).String()
	origin := w.db.Strings(`SELECT DISTINCT toString(node), toString(sequence) FROM usage_events
		WHERE entry = 'reversal'`)
	if diff := cmp.Diff([]string{node + " 1"}, origin); diff != "" {
		t.Errorf("origin (-want +got):\n%s", diff)
	}
}
