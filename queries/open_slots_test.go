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

// carry moves units into a slot.
func (l *ledger) carry(from time.Time, to schema.Slot, number uint32, units int64) {
	l.t.Helper()
	c := schema.Carry{
		Organization: to.Organization, Meter: to.Meter, From: from, Number: number,
		ID: uuid.New(), To: to.Start, Units: units, Reason: "test",
		CreatedAt: l.now.Add(-48 * time.Hour), Writer: named("writer"),
	}
	if err := l.q.InsertCarry(l.t.Context(), c, time.Minute); err != nil {
		l.t.Fatal(err)
	}
}

func (l *ledger) period(s schema.Slot, from, to time.Time, invoiced int64, finalized bool) {
	l.periods = append(l.periods, schema.StripePeriod{
		Organization: s.Organization, Meter: s.Meter, Start: from, End: to, Finalized: finalized,
		InvoicedUnits: invoiced, SeenAt: l.now,
	})
}

// planted is a slot in some state, and whether it has something to be told.
type planted struct {
	name    string
	ago     int // hours
	used    int64
	listed  bool
	prepare func(l *ledger, s schema.Slot)
}

// frozen writes a slot's revisions by their totals, and what was last said of the newest, the
// others being accepted.
func frozen(ago time.Duration, totals []int64, said ...schema.Verdict) func(*ledger, schema.Slot) {
	return func(l *ledger, s schema.Slot) {
		var all []schema.Intent
		before := int64(0)
		for n, total := range totals {
			i := l.intent(s, uint32(n+1), total)
			if l.mode == schema.Raw {
				i.Send = total - before
			}
			before = total
			all = append(all, i)
		}
		l.freeze(all...)
		for n := range totals[1:] {
			l.say(s, uint32(n+1), l.now.Add(-ago-time.Hour), schema.Accepted)
		}
		l.say(s, uint32(len(totals)), l.now.Add(-ago), said...)
	}
}

// plants are what the work list of every mode is to find, and to leave.
func plants() []planted {
	const day = 24
	one := []int64{70}
	return []planted{
		{"in sync", 3, 70, false, frozen(time.Hour, one, schema.Unknown, schema.Accepted)},
		{"never told", 3, 70, true, nil},
		{"late", 3, 75, true, frozen(time.Hour, one, schema.Duplicate)},
		{"corrected", 3, -60, true, frozen(time.Hour, one, schema.Settled)},
		{"told again", 3, 75, false, frozen(time.Hour, []int64{70, 75}, schema.Accepted)},
		{"taken back", 3, 0, true, frozen(time.Hour, one, schema.Accepted)},
		{"nothing", 3, 0, false, nil},
		{"rejected, rested", 3, 70, true, frozen(time.Hour, one, schema.Rejected)},
		{"rejected, resting", 3, 70, false, frozen(59*time.Minute, one, schema.Rejected)},
		{"refused, rested", 3, 70, true,
			frozen(2*time.Hour, one, schema.Accepted, schema.Refused)},
		{"differs, resting", 3, 70, false,
			frozen(time.Minute, one, schema.Accepted, schema.Differs)},
		{"abandoned", 3, 70, true, frozen(time.Minute, one, schema.Abandoned)},
		{"open, rested", 3, 70, true, frozen(time.Hour, one, schema.Unknown)},
		{"open, resting", 3, 70, false, frozen(59*time.Second, one, schema.Retry)},
		{"open, not tried", 3, 70, true, frozen(0, one)},
		{"open, too old", 40 * day, 70, true, frozen(time.Hour, one, schema.Unknown)},
		{"open, far too old", 80 * day, 70, false, frozen(time.Hour, one, schema.Unknown)},
		{"too old", 40 * day, 70, false, nil},
		{"not sealed", 0, 70, false, nil},
		{"drafted", 0, 70, true, func(l *ledger, s schema.Slot) {
			l.period(s, l.hour(700), s.Start.Add(15*time.Minute), 0, false)
		}},
		{"draft to come", 0, 70, false, func(l *ledger, s schema.Slot) {
			l.period(s, s.Start, l.hour(-700), 0, false)
		}},
		{"closed", 3, 70, false, func(l *ledger, s schema.Slot) {
			l.period(s, l.hour(700), s.Start.Add(time.Second), 0, true)
		}},
		{"just open", 3, 70, true, func(l *ledger, s schema.Slot) {
			l.period(s, l.hour(700), s.Start, 0, true)
		}},
		{"closed, open", 3, 70, true, func(l *ledger, s schema.Slot) {
			l.period(s, l.hour(700), l.hour(1), 0, true)
			frozen(time.Hour, one, schema.Unknown)(l, s)
		}},
		{"as large as can be", 3, schema.SlotUnitsMax, true, nil},
		{"too large", 3, schema.SlotUnitsMax + 1, false, nil},
		{"carried", 3, 70, true, func(l *ledger, s schema.Slot) {
			frozen(time.Hour, one, schema.Accepted)(l, s)
			l.carry(l.hour(900), s, 1, 5)
		}},
		{"carried, told", 3, 70, false, func(l *ledger, s schema.Slot) {
			frozen(time.Hour, []int64{75}, schema.Accepted)(l, s)
			l.carry(l.hour(900), s, 1, 5)
		}},
		{"not a customer", 3, 70, false, nil},
		{"since later", 3, 70, false, nil},
	}
}

// TestWorkListFindsWhatDiffers plants a slot of every kind for an organization each.
func TestWorkListFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for _, mode := range []schema.ReportMode{
		schema.Preaggregated, schema.UsageRecord, schema.Raw,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			l := openLedger(t)
			l.mode = mode
			names := map[uuid.UUID]string{}
			var catalog schema.Catalog
			var want []string
			for _, p := range append(plants(), plantsOf(mode)...) {
				s := l.slot(p.name, "usage", p.ago)
				names[s.Organization] = p.name
				if p.listed {
					want = append(want, p.name)
				}
				o := schema.Organization{ID: s.Organization, Name: p.name}
				o.Stripe.Meter = "usage"
				if p.name != "not a customer" {
					o.Stripe.Customer = "cus"
				}
				if p.name == "since later" {
					o.Stripe.Since = s.End()
				}
				catalog.Organizations = append(catalog.Organizations, o)
				if p.used != 0 {
					l.use(s, schema.Input, p.used)
				}
				if p.prepare != nil {
					p.prepare(l, s)
				}
			}
			l.save(catalog)
			var got []string
			for _, s := range l.open() {
				got = append(got, names[s.Slot.Organization])
				closed := names[s.Slot.Organization] == "closed, open"
				old := names[s.Slot.Organization] == "open, too old"
				if s.Sendable == (closed || old) {
					t.Errorf("%s: sendable is %v", names[s.Slot.Organization], s.Sendable)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkBacklog(t, l, len(want))
		})
	}
}

// plantsOf are what modes see differently: where totals are set only the newest revision counts.
func plantsOf(mode schema.ReportMode) []planted {
	both := []int64{70, 75}
	sets := mode != schema.Raw
	return []planted{
		{"back to what was told", 3, 70, sets, frozen(time.Hour, both, schema.Rejected)},
		{"never told of more", 3, 75, true, frozen(time.Hour, both, schema.Rejected)},
		{"superseded", 3, 75, !sets, func(l *ledger, s schema.Slot) {
			frozen(time.Hour, both, schema.Accepted)(l, s)
			third := l.intent(s, 4, 75)
			third.Send = 0
			l.freeze(l.intent(s, 3, 80), third)
			l.say(s, 4, l.now.Add(-time.Hour), schema.Accepted)
		}},
	}
}

// checkBacklog looks at the same slots: what rests is behind as well.
func checkBacklog(t *testing.T, l *ledger, listed int) {
	t.Helper()
	got, err := l.q.ReportBacklog(t.Context(), l.params())
	want := queries.ReportBacklog{
		// Three rest, and the one that is too old is not looked at.
		Unsynced: uint64(listed) + 3 - 1, Oldest: l.hour(3),
		Unmapped: 1, UnmappedUnits: 70, TooLarge: 1, Rejected: 5,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("backlog: %v (-want +got):\n%s", err, diff)
	}
}

// TestWhatFailsRests asks a second before and at the end of each rest. Without the rest of refused
// slots all seven were listed within the minute.
func TestWhatFailsRests(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.mode = schema.Raw
	rests := map[uuid.UUID]time.Duration{}
	last := l.now.Add(-time.Hour)
	for n, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		s := l.slot(fmt.Sprint("open ", n), "usage", 3)
		l.freeze(l.intent(s, 1, 70))
		l.say(s, 1, last, slices.Repeat([]schema.Verdict{schema.Unknown}, n+1)...)
		rests[s.Organization] = time.Duration(minutes) * time.Minute
	}
	var catalog schema.Catalog
	for n, hours := range []int{1, 2, 4, 8, 16, 24, 24} {
		s := l.slot(fmt.Sprint("rejected ", n), "usage", 3)
		o := schema.Organization{ID: s.Organization}
		o.Stripe.Customer, o.Stripe.Meter = "cus", "usage"
		catalog.Organizations = append(catalog.Organizations, o)
		l.told(s, 1, 70)
		for revision := range n + 1 {
			l.freeze(l.intent(s, uint32(revision+2), 90))
			l.say(s, uint32(revision+2), last, schema.Rejected)
		}
		rests[s.Organization] = time.Duration(hours) * time.Hour
	}
	l.save(catalog)
	old, later := l.slot("20 hours", "usage", 24), l.slot("asked", "usage", 24)
	made := l.intent(old, 1, 70).CreatedAt
	l.freeze(l.intent(old, 1, 70), l.intent(later, 1, 70))
	l.say(old, 1, made.Add(19*time.Hour), schema.Unknown)
	l.say(later, 1, last, schema.Unknown)
	rests[old.Organization] = made.Add(22 * time.Hour).Sub(last)
	rests[later.Organization] = time.Hour

	l.flush()
	p := l.params()
	f := func(after time.Duration) {
		t.Helper()
		p.Now = last.Add(after)
		all, err := l.q.OpenSlots(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uuid.UUID]bool{}
		for _, s := range all {
			got[s.Slot.Organization] = true
		}
		for o, rest := range rests {
			if got[o] != (rest <= after) {
				t.Errorf("%s after %v: listed is %v, it rests %v", o, after, got[o], rest)
			}
		}
	}
	for _, rest := range []time.Duration{
		1, 2, 16, 60, 2 * 60, 8 * 60, 24 * 60,
	} {
		f(rest*time.Minute - time.Second)
		f(rest * time.Minute)
	}
	f(rests[old.Organization] - time.Second)
	f(rests[old.Organization])
}

// TestMappingMovesOpenHours changes the catalog: what an hour comes to is told to the meter that
// counts it now, and taken back from the one that did.
func TestMappingMovesOpenHours(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.save(schema.Catalog{Meters: []schema.Meter{
		{Name: "out", Unit: schema.WholeUnits, UsageTypes: []string{schema.Output}},
	}})
	l.customer("o1", "usage")
	s := l.slot("o1", "usage", 3)
	l.use(s, schema.Input, 70)
	l.use(s, schema.Output, 5)
	l.told(s, 1, 75)
	moved := func() (all []string) {
		for _, o := range l.open() {
			all = append(all, fmt.Sprintf("%s: told %d, want %d", o.Slot.Meter, o.Told, o.Want()))
		}
		return all
	}
	if got := moved(); len(got) > 0 {
		t.Errorf("before: %v", got)
	}
	l.customer("o1", "out", "usage")
	want := []string{"out: told 0, want 5", "usage: told 75, want 70"}
	if diff := cmp.Diff(want, moved()); diff != "" {
		t.Errorf("mapped (-want +got):\n%s", diff)
	}
	// A retired organization's usage counts as it did.
	o := schema.Organization{ID: s.Organization, Name: "o1"}
	o.Stripe.Customer, o.Stripe.Meter = "cus", "usage"
	version, err := l.q.CatalogVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.q.SaveCatalog(t.Context(), schema.CatalogChange{
		Version: version + 1, At: l.now, Actor: "test",
		Retire: schema.Catalog{Organizations: []schema.Organization{o}},
	}); err != nil {
		t.Fatal(err)
	}
	if got := moved(); len(got) > 0 {
		t.Errorf("retired: %v", got)
	}
	// What was told of hours before the first that is reported stands.
	o.Stripe.Customer, o.Stripe.Meter, o.Stripe.Since = "cus", "other", s.End()
	l.save(schema.Catalog{Organizations: []schema.Organization{o}})
	if got := moved(); len(got) > 0 {
		t.Errorf("since: %v", got)
	}
}

// retire takes organizations and meters out of the catalog, as they are.
func (l *ledger) retire(c schema.Catalog) {
	l.t.Helper()
	version, err := l.q.CatalogVersion(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.q.SaveCatalog(l.t.Context(), schema.CatalogChange{
		Version: version + 1, At: l.now, Actor: "test", Retire: c,
	}); err != nil {
		l.t.Fatal(err)
	}
}

// TestRetiredHoursStayAsTheyWereCounted retires an organization and the meter that only it had: with
// the meter gone from the view, 75 micro-USD were told where five units had been, and none of the
// other meter. What takes the rest of another organization, and is no meter of the catalog any
// more, counts everything. Of whom has no customer nothing is listed, nor is it behind.
func TestRetiredHoursStayAsTheyWereCounted(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	out := schema.Meter{Name: "out", Unit: schema.WholeUnits, UsageTypes: []string{schema.Output}}
	l.save(schema.Catalog{Meters: []schema.Meter{out}})
	l.customer("o1", "out", "usage")
	l.customer("o2", "usage")
	for _, o := range []string{"o1", "o2"} {
		l.use(l.slot(o, "usage", 3), schema.Input, 70)
		l.use(l.slot(o, "usage", 3), schema.Output, 5)
	}
	l.told(l.slot("o1", "out", 3), 1, 5)
	l.told(l.slot("o1", "usage", 3), 1, 70)
	l.told(l.slot("o2", "usage", 3), 1, 60)
	open := func(want ...string) {
		t.Helper()
		var got []string
		for _, o := range l.open() {
			got = append(got, fmt.Sprintf("%s: told %d, want %d", o.Slot.Meter, o.Told, o.Want()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b, err := l.q.ReportBacklog(t.Context(), l.params())
		if err != nil || b.Unsynced != uint64(len(want)) {
			t.Errorf("%d behind, %v, want %d", b.Unsynced, err, len(want))
		}
	}
	open("usage: told 60, want 75")
	gone := schema.Organization{ID: named("o1"), Name: "o1"}
	gone.Stripe.Customer, gone.Stripe.Meter = "cus_o1", "usage"
	gone.Stripe.Meters = []schema.MeterMapping{{Meter: "out"}}
	l.retire(schema.Catalog{
		Organizations: []schema.Organization{gone}, Meters: []schema.Meter{out},
	})
	open("usage: told 60, want 75")
	all, err := l.q.RetiredOrganizations(t.Context())
	if diff := cmp.Diff([]schema.Organization{gone}, all); diff != "" || err != nil {
		t.Errorf("%v, retired (-want +got):\n%s", err, diff)
	}
	l.customer("o2", "out")
	open("out: told 0, want 75", "usage: told 60, want 0")
	away := schema.Organization{ID: named("o2"), Name: "o2"}
	l.save(schema.Catalog{Organizations: []schema.Organization{away}})
	open()
	l.retire(schema.Catalog{Organizations: []schema.Organization{away}})
	open()
}
