package queries_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// due returns what is due, each as "organization from number: units".
func (l *ledger) due(change ...func(*queries.DueParams)) (all []string) {
	l.t.Helper()
	l.flush()
	p := queries.DueParams{
		Mode: l.mode, From: l.hour(100 * 24), Oldest: l.hour(35 * 24), Carried: l.now, Limit: 100,
	}
	for _, c := range change {
		c(&p)
	}
	dues, err := l.q.DueCarries(l.t.Context(), p)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, d := range dues {
		name := "?"
		for i := range 30 {
			if named(fmt.Sprint("o", i)) == d.Organization {
				name = fmt.Sprint("o", i)
			}
		}
		kind := "hour"
		if d.Period {
			kind = "period"
		}
		all = append(all, fmt.Sprintf("%s %s %s %d #%d: %d", name, d.Meter, kind,
			int(l.hour(0).Sub(d.From)/time.Hour), d.Number, d.Units))
	}
	slices.Sort(all)
	return all
}

// TestWhatClosedPeriodsLackIsDue plants periods, a case an organization, and carries what is due.
// With what was carried away not taken off 10 units were due of a period that lacks none.
func TestWhatClosedPeriodsLackIsDue(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	const start, end = 1000, 300 // hours ago
	n := 0
	var catalog schema.Catalog
	next := func(since int) (name string) {
		n++
		o := schema.Organization{ID: named(fmt.Sprint("o", n)), Name: "o"}
		o.Stripe.Customer, o.Stripe.Meter = "cus", "usage"
		if since > 0 {
			o.Stripe.Since = l.hour(since)
		}
		catalog.Organizations = append(catalog.Organizations, o)
		return fmt.Sprint("o", n)
	}
	plant := func(since int, invoiced int64, hours map[int]int64) string {
		name := next(since)
		l.period(l.slot(name, "usage", 0), l.hour(start), l.hour(end), invoiced, true)
		for ago, units := range hours {
			l.use(l.slot(name, "usage", ago), schema.Input, units)
		}
		return name
	}
	// The hours before and at the end are not the period's, and were never told of: not due.
	plant(0, 70, map[int]int64{start: 30, end + 1: 40, start + 1: 1, end: 2})
	plant(0, 70, map[int]int64{start: 30, end + 1: 45}) // 5 came late
	plant(0, 70, map[int]int64{start: 30, end + 1: 35}) // 5 were taken back
	plant(0, 0, map[int]int64{start: 30})               // invoiced without any
	plant(0, 70, nil)                                   // all was taken back
	// A value that Stripe never took is not due, and what was told of its hour is.
	huge := plant(0, 7, map[int]int64{500: schema.SlotUnitsMax + 1})
	l.told(l.slot(huge, "usage", 500), 1, 7)
	// Before the first hour of the organization what was told stands.
	early := plant(500, 40, map[int]int64{600: 99, 400: 30})
	l.told(l.slot(early, "usage", 600), 1, 10)
	plant(end, 40, map[int]int64{600: 99}) // all of it is before
	// What was carried into one of its hours is billable there.
	into := plant(0, 70, map[int]int64{start: 70})
	l.carry(l.hour(2000), l.slot(into, "usage", 500), 1, 6)
	// What was carried from hours of it before it was closed is taken off.
	out := plant(0, 70, map[int]int64{start: 80})
	l.carry(l.hour(start), l.slot(out, "usage", 200), 1, 4)
	l.carry(l.hour(900), l.slot(out, "usage", 200), 1, 6)
	l.save(catalog)

	want := []string{
		"o2 usage period 1000 #1: 5",
		"o3 usage period 1000 #1: -5", "o4 usage period 1000 #1: 30",
		"o5 usage period 1000 #1: -70", "o9 usage period 1000 #1: 6",
	}
	if diff := cmp.Diff(want, l.due()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	one := func(p *queries.DueParams) { p.Organization = named("o2") }
	if diff := cmp.Diff(want[:1], l.due(one)); diff != "" {
		t.Errorf("of one organization (-want +got):\n%s", diff)
	}
	left := func(p *queries.DueParams) { p.From = l.hour(start - 1) }
	if got := l.due(left); len(got) > 0 {
		t.Errorf("periods that began before: %v", got)
	}
	carryAll(t, l, want)
}

// carryAll carries what is due in two parts until nothing is.
func carryAll(t *testing.T, l *ledger, want []string) {
	t.Helper()
	dues := func(carried time.Time) []queries.Due {
		t.Helper()
		all, err := l.q.DueCarries(t.Context(), queries.DueParams{
			Mode: l.mode, From: l.hour(100 * 24), Oldest: l.hour(35 * 24), Carried: carried,
			Limit: 100,
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := dues(l.now)
	if len(first) != len(want) {
		t.Fatalf("%d are due, want %d", len(first), len(want))
	}
	for round := range 2 {
		for _, d := range dues(l.now) {
			units := d.Units
			if round == 0 {
				units = d.Units / 2
			}
			c := schema.Carry{
				Organization: d.Organization, Meter: d.Meter, From: d.From, Number: d.Number,
				ID: uuid.New(), To: l.hour(2), Units: units, Reason: "test", CreatedAt: l.now,
				Writer: named("writer"),
			}
			if err := l.q.InsertCarry(t.Context(), c, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if got := dues(l.now.Add(-time.Second)); len(got) > 0 {
			t.Errorf("what was carried a moment ago does not wait: %v", got)
		}
	}
	if got := dues(l.now); len(got) > 0 {
		t.Errorf("all is carried, and due are %v", got)
	}
}

// TestWhatOldHoursLackIsDue plants hours that Stripe takes no more. With hours due of which a
// revision is open 75 units were due that Stripe may have; without the wait the same hour was due
// again at once.
func TestWhatOldHoursLackIsDue(t *testing.T) {
	t.Parallel()
	for _, mode := range []schema.ReportMode{schema.Preaggregated, schema.Raw} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			l := openLedger(t)
			l.mode = mode
			const old, first = 36 * 24, 50 * 24 // hours ago
			var catalog schema.Catalog
			for i := range 12 {
				o := schema.Organization{ID: named(fmt.Sprint("o", i)), Name: "o"}
				o.Stripe.Customer, o.Stripe.Meter = "cus", "usage"
				if i == 9 {
					o.Stripe.Since = l.hour(old - 1)
				}
				catalog.Organizations = append(catalog.Organizations, o)
				if i > 0 { // of the first organization nothing was ever told
					s := l.slot(fmt.Sprint("o", i), "usage", first)
					l.use(s, schema.Input, 10)
					l.told(s, 1, 10)
				}
			}
			l.save(catalog)
			slot := func(i, ago int) schema.Slot { return l.slot(fmt.Sprint("o", i), "usage", ago) }
			for i, ago := range []int{
				0: old, 1: old, 2: old, 3: old, 4: old, 5: 34 * 24, 6: first + 1, 7: 100,
				8: old, 9: old, 10: old, 11: old,
			} {
				l.use(slot(i, ago), schema.Input, 75)
			}
			frozen(time.Hour, []int64{70}, schema.Accepted)(l, slot(2, old))
			frozen(time.Hour, []int64{70}, schema.Unknown)(l, slot(3, old))
			frozen(time.Hour, []int64{70, 80}, schema.Accepted)(l, slot(4, old))
			// Hours before the end of a closed period that nobody told of the period of.
			l.period(slot(7, 0), l.hour(99), l.hour(90), 0, true)
			l.carry(l.hour(old), slot(8, 2), 1, 25) // it was carried before
			l.use(slot(10, old), schema.Output, schema.SlotUnitsMax)
			// An hour of which all is carried, and then taken back.
			l.carry(l.hour(old-5), slot(11, 2), 1, 25)
			frozen(time.Hour, []int64{70}, schema.Abandoned)(l, slot(11, old))
			want := []string{
				"o1 usage hour 864 #1: 75", "o11 usage hour 859 #2: -25",
				"o11 usage hour 864 #1: 75", "o2 usage hour 864 #1: 5",
				"o4 usage hour 864 #1: -5", "o7 usage hour 100 #1: 75",
				"o8 usage hour 864 #2: 50",
			}
			if diff := cmp.Diff(want, l.due()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			waits := func(p *queries.DueParams) { p.Carried = l.now.Add(-49 * time.Hour) }
			want = slices.DeleteFunc(want, func(s string) bool {
				return s == "o8 usage hour 864 #2: 50" || s == "o11 usage hour 859 #2: -25"
			})
			if diff := cmp.Diff(want, l.due(waits)); diff != "" {
				t.Errorf("what was carried waits (-want +got):\n%s", diff)
			}
			carryAll(t, l, append(want, "o8", "o11"))
		})
	}
}
