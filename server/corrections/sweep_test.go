package corrections_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/corrections"
)

// keyed returns an event with an idempotency key and one measurement, as a client sends it.
func keyed(key string, units int64) schema.Event {
	e := event("", units)
	e.ID, e.Key = schema.EventID(acme, key), key
	return e
}

// search sweeps what it finds without being told, and fails the test unless it is so many copies.
func (n *node) search(want int) {
	n.w.t.Helper()
	got, err := n.Search(n.w.t.Context())
	if err != nil || got != want {
		n.w.t.Errorf("Search took back %d copies, %v, want %d", got, err, want)
	}
}

// live fails the test unless the ledger shows one event with so many units, or a voided one.
func (n *node) live(e schema.Event, units int64) {
	n.w.t.Helper()
	all := n.revisions(e)
	if len(all) == 0 {
		n.w.t.Fatalf("event %s is unknown", e.ID)
	}
	for i, r := range all {
		if len(r.Event.Measurements) != 1 || r.Event.Revision != uint32(i) ||
			r.Reversed != (i < len(all)-1 || units == 0) {
			n.w.t.Errorf("revision %d of event %s is %+v", i, e.ID, r)
		}
	}
	if got := all[len(all)-1].Event.Measurements[0].Quantity; units != 0 &&
		got != schema.WholeQuantity(units) {
		n.w.t.Errorf("event %s has %s units, want %d", e.ID, got, units)
	}
	record, ok, err := n.queries.UsageRecord(n.w.t.Context(), queries.UsageRecordParams{
		Organization: e.Organization, Event: e.ID,
	})
	if err != nil || ok != (units != 0) || ok && record.Units != schema.WholeQuantity(units) {
		n.w.t.Errorf("UsageRecord(%s) = %+v, %t, %v, want %d units", e.ID, record, ok, err, units)
	}
	records, err := n.queries.UsageRecords(n.w.t.Context(), queries.UsageRecordsParams{
		Organization: e.Organization, Limit: 1_000_000,
	})
	shown := 0
	for _, r := range records {
		if r.ID == e.ID {
			shown++
		}
	}
	if want := min(units, 1); err != nil || int64(shown) != want {
		n.w.t.Errorf("event %s is %d times in a list of records, %v, want %d", e.ID, shown, err, want)
	}
}

// TestSweepLeavesOne has three nodes that do not hear of each other accept one key, with other
// contents each, and corrections before and after the copies are taken back. With the sweep's
// reversals of the organization's corrections instead of the copies' logs, the second search takes
// back again and the event is gone.
func TestSweepLeavesOne(t *testing.T) {
	t.Parallel()
	amend := func(n *node, e schema.Event) {
		t.Helper()
		if _, err := n.Correct(t.Context(), addUnits(e, 1)); err != nil {
			t.Fatal(err)
		}
	}
	end := func(n *node, e schema.Event) {
		t.Helper()
		if _, err := n.Correct(t.Context(), void(e)); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*node, schema.Event) {}
	w := newWorld(t)
	one, two, three := w.node(), w.node(), w.node()
	events, units := int64(0), int64(0)
	for i, step := range []struct {
		late   func(*node, schema.Event) // before the third copy arrives, which is the first accepted
		shown  int64
		before func(*node, schema.Event)
		after  func(*node, schema.Event)
		want   int64
	}{
		{nothing, 30, nothing, nothing, 30},
		{nothing, 30, amend, nothing, 31},
		{nothing, 30, amend, amend, 32},
		{nothing, 30, end, nothing, 0},
		{nothing, 30, nothing, end, 0},
		{amend, 11, nothing, nothing, 11},
		{amend, 11, amend, end, 0},
		{end, 0, nothing, nothing, 0},
	} {
		key := fmt.Sprint("key ", i)
		now := time.Now().UTC().Truncate(time.Microsecond)
		accept := func(n *node, units int64, ago time.Duration) {
			t.Helper()
			e := keyed(key, units)
			e.IngestTime, e.Time = now.Add(-ago), e.Time.Add(-ago)
			n.record(e)
		}
		e := keyed(key, 0)
		accept(one, 10, 2*time.Second)
		accept(two, 20, time.Second)
		one.live(e, 10)
		step.late(two, e)
		accept(three, 30, 3*time.Second)
		one.live(e, step.shown)
		step.before(one, e)
		three.search(2)
		step.after(two, e)
		one.search(0)
		one.live(e, step.want)
		if units += step.want; step.want != 0 {
			events++
		}
		w.check(two, fmt.Sprintf("%d %d %d %s", events, events, units, cost(events)))
	}
}

// cost returns what events cost together.
func cost(events int64) string {
	sum := schema.USD{}
	for range events {
		sum = sum.Add(usd("0.75"))
	}
	return sum.String()
}

// TestSweepersMayMeet has two nodes sweep the same copies at the same time, half of them with the
// same contents: with ExtraCopies asked before the turn and not again inside build, both take back.
func TestSweepersMayMeet(t *testing.T) {
	t.Parallel()
	const events = 450 // three corrections
	w := newWorld(t)
	one, two := w.node(), w.node()
	for _, n := range []*node{one, two} {
		var all []schema.Event
		for i := range events {
			e := keyed(fmt.Sprint("key ", i), 2)
			if n == two && i%2 == 0 {
				e.Time = e.Time.Add(-40 * 24 * time.Hour) // another month
				e.Agent = named("agent")
			}
			all = append(all, e)
		}
		n.record(all...)
	}
	var group sync.WaitGroup
	for _, n := range []*node{one, two} {
		group.Go(func() {
			if _, err := n.Search(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	w.check(one, fmt.Sprintf("%d %d %d %s", events, events, 2*events, cost(events)))
	one.search(0)
}

// TestRepriceLeavesCopiesAlone prices again while copies are there, some at another time than the
// range that is asked for.
func TestRepriceLeavesCopiesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.node(), w.node()
	for i, n := range []*node{one, two} {
		for j, key := range []string{"same time", "other time"} {
			e := keyed(key, 0)
			e.Model = "known"
			e.Time = e.Time.Add(time.Duration(i*j) * time.Minute)
			e.Measurements = []schema.Measurement{{
				UsageType: schema.Input, Quantity: schema.WholeQuantity(1_000_000),
			}}
			n.record(e)
		}
	}
	w.rates = ratesOf(t, "4", "6")
	for _, p := range []struct{ from, to time.Duration }{
		{-time.Hour, time.Second}, {time.Second, time.Hour}, {-time.Hour, time.Hour},
	} {
		if _, err := two.Reprice(t.Context(), corrections.RepriceParams{
			From: eventTime.Add(p.from), To: eventTime.Add(p.to), Actor: "test",
		}); err != nil {
			t.Fatal(err)
		}
	}
	one.search(2)
	w.check(one, "2 2 2000000 12")
}

// untold knows of no doubled events and is not the eldest of the nodes.
type untold struct{ swept func() }

func (untold) Doubled() ([]queries.NodeKey, time.Time) { return nil, time.Time{} }
func (u untold) Swept(time.Time)                       { u.swept() }
func (untold) Relearned() bool                         { return false }
func (untold) Eldest() bool                            { return false }

// TestEachNodeSearchesAtItsStart: what a node knew of doubled events before it stopped is gone, and
// the keys that told of them are learned. With the search left to the eldest node the copy stays.
// Before the search nothing is said to be swept, which billing and verify wait for: said without it,
// the copy is still there.
func TestEachNodeSearchesAtItsStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.node(), w.node()
	e := keyed("key", 10)
	one.record(e)
	two.record(e)
	if got := w.total("consumption_monthly"); got != "2 2 20 1.5" {
		t.Fatalf("there are no copies: %s", got)
	}
	var once sync.Once
	saidWith := make(chan string, 1)
	c := corrections.New(corrections.Config{
		Queries: one.queries, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Doubled: untold{func() {
			once.Do(func() { saidWith <- w.total("consumption_monthly") })
		}},
	})
	c.Start()
	defer c.Stop()
	w.eventually("the copy to be taken back", func() bool {
		return w.total("consumption_monthly") == "1 1 10 0.75"
	})
	if got := <-saidWith; got != "1 1 10 0.75" {
		t.Errorf("all was said to be swept with %s", got)
	}
}
