package billing

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

var (
	planOrganization = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	planHour         = time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	planNow          = planHour.Add(2 * time.Hour)
)

func planSlot(meter string) schema.Slot {
	return schema.Slot{Organization: planOrganization, Meter: meter, Start: planHour}
}

// TestIdentifiers: every revision has a name of its own, which says where it belongs.
func TestIdentifiers(t *testing.T) {
	t.Parallel()
	const head = "mh1-0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55-"
	f := func(meter string, revision uint32, want string) {
		t.Helper()
		got := Identifier(planSlot(meter), revision)
		if got != want || len(got) > 100 {
			t.Errorf("%q revision %d: %s, want %s", meter, revision, got, want)
		}
		named, ok := ParseIdentifier(got)
		if !ok || named.Organization != planOrganization || !named.Start.Equal(planHour) ||
			named.Identifier != got {
			t.Errorf("%s reads as %+v, %v", got, named, ok)
		}
		if key, ok := ParseIdentifier(got + "-g12"); !ok || key != named {
			t.Errorf("the key of %s reads as %+v, %v", got, key, ok)
		}
	}
	f("usage_micro_usd", 1, head+"usage_micro_usd-1795352400-r1")
	f("Seconds-2", 4294967295, head+"Seconds-2-1795352400-r4294967295")
	f(strings.Repeat("m", 32), 2, head+strings.Repeat("m", 32)+"-1795352400-r2")
	f(strings.Repeat("m", 33), 2, head+"481dab0927c8c7f1-1795352400-r2")
	f("a b", 1, head+"c8687a08aa5d6ed2-1795352400-r1")
	f("", 1, head+"e3b0c44298fc1c14-1795352400-r1")
	f("x-r7", 3, head+"x-r7-1795352400-r3")
}

// TestForeignIdentifiers: what is not ours is told from what is, whatever it looks like.
func TestForeignIdentifiers(t *testing.T) {
	t.Parallel()
	good := Identifier(planSlot("m"), 1)
	for _, text := range []string{
		"", "mh1-", "evt_1", "mh2" + good[3:], good[:len(good)-1], good + "x", good + "-r",
		good[:40], "mh1-0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55",
		strings.Replace(good, "-r1", "-r0", 1),
		strings.Replace(good, "0c7c2a52", "zc7c2a52", 1),
		strings.Replace(good, "1795352400", "1795352401", 1),
		strings.Replace(good, "1795352400", "99999999999999999999", 1), good + "-g-1", "-r1", "-g1",
	} {
		if named, ok := ParseIdentifier(text); ok {
			t.Errorf("%q reads as %+v", text, named)
		}
	}
}

func FuzzParseIdentifier(f *testing.F) {
	f.Add(Identifier(planSlot("m"), 1))
	f.Add("mh1-0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55-m--r1")
	f.Add("mh1-g1-r1")
	f.Fuzz(func(t *testing.T, text string) {
		named, ok := ParseIdentifier(text)
		if ok && named.Start.Unix()%3600 != 0 {
			t.Errorf("%q is of %s", text, named.Start)
		}
	})
}

// TestPlan is the table of what is done about a slot.
func TestPlan(t *testing.T) {
	t.Parallel()
	to := target{customer: "cus_1", item: "si_1"}
	base := queries.OpenSlot{Slot: planSlot("m"), Own: 90, Carried: 10, Sendable: true}
	told := base
	told.Latest, told.Told, told.Customer, told.Item = 2, 70, "cus_0", "si_0"
	refused := told
	refused.Failures = 1
	const big = schema.SlotUnitsMax

	type change func(*queries.OpenSlot)
	f := func(name string, mode schema.ReportMode, s queries.OpenSlot, c change, want task,
		total, units int64,
	) {
		t.Helper()
		c(&s)
		j := plan(s, to, mode, planNow)
		if j.task != want || j.intent.Total != total || j.intent.Send != units {
			t.Errorf("%s: task %d, total %d, send %d", name, j.task, j.intent.Total, j.intent.Send)
		}
	}
	as := func(*queries.OpenSlot) {}
	own := func(n int64) change { return func(s *queries.OpenSlot) { s.Own = n } }
	pre, rec, raw := schema.Preaggregated, schema.UsageRecord, schema.Raw

	f("first", pre, base, as, freeze, 100, 100)
	f("first record", rec, base, as, freeze, 100, 100)
	f("first difference", raw, base, as, freeze, 100, 100)
	f("nothing", pre, base, own(-10), rest, 0, 0)
	f("more", pre, told, as, freeze, 100, 100)
	f("more of a record", rec, told, as, freeze, 100, 100)
	f("the difference", raw, told, as, freeze, 100, 30)
	f("less", raw, told, own(50), freeze, 60, -10)
	f("nothing any more", pre, told, own(-10), freeze, 0, 0)
	f("back to nothing", raw, told, own(-10), freeze, 0, -70)
	f("in sync", pre, told, own(60), rest, 0, 0)
	f("in sync, raw", raw, told, own(60), rest, 0, 0)
	f("the newest was refused", pre, refused, own(60), freeze, 70, 70)
	f("the newest was refused, and the rest is there", raw, refused, own(60), rest, 0, 0)
	f("below zero", pre, base, own(-90), freeze, -80, -80)
	f("below zero, a record", rec, told, own(-90), freeze, 0, 0)
	f("below zero, no record yet", rec, base, own(-90), rest, 0, 0)
	f("not taken any more", pre, base, func(s *queries.OpenSlot) { s.Sendable = false }, rest, 0, 0)
	f("as much as there can be", pre, base, own(big-10), freeze, big, big)
	f("too much", pre, base, own(big), rest, 0, 0)
	f("too little", pre, base, own(-big-11), rest, 0, 0)
	f("too much of a difference", raw, told, func(s *queries.OpenSlot) {
		s.Told, s.Own = -big, big-10
	}, rest, 0, 0)
}

// TestPlanOfOpenRevisions is the table of what is done about what may have been sent.
func TestPlanOfOpenRevisions(t *testing.T) {
	t.Parallel()
	f := func(mode schema.ReportMode, age, since time.Duration, sendable bool, want task) {
		t.Helper()
		s := queries.OpenSlot{Slot: planSlot("m"), Own: 5, Latest: 1, Sendable: sendable}
		s.Open = schema.Revision{
			Intent: schema.Intent{Revision: 1, Mode: mode, CreatedAt: planNow.Add(-age)},
			LastAt: planNow.Add(-since),
		}
		// How a revision is sent is its own business: the mode may have been changed since.
		for configured := schema.Preaggregated; configured <= schema.Raw; configured++ {
			if j := plan(s, target{}, configured, planNow); j.task != want {
				t.Errorf("%s, made %s and tried %s ago, sendable %v: task %d, want %d",
					mode, age, since, sendable, j.task, want)
			}
		}
	}
	const day = 24 * time.Hour
	for _, mode := range []schema.ReportMode{schema.Preaggregated, schema.UsageRecord} {
		f(mode, 0, 0, true, send)
		f(mode, 30*day, 0, true, send)
	}
	f(schema.Raw, 0, 0, true, send)
	f(schema.Raw, 20*time.Hour-1, day, true, send)
	f(schema.Raw, 20*time.Hour, day, true, rest)
	f(schema.Raw, 22*time.Hour-1, day, true, rest)
	f(schema.Raw, 22*time.Hour, day, true, settle)
	f(schema.Raw, 22*time.Hour, time.Hour, true, rest)
	f(schema.Raw, time.Hour, time.Hour, false, rest)
	f(schema.Raw, 22*time.Hour, 2*time.Hour, false, settle)
	f(schema.Preaggregated, 22*time.Hour-1, day, false, rest)
	f(schema.Preaggregated, 22*time.Hour, day, false, settle)
	f(schema.UsageRecord, time.Hour, time.Hour, false, abandon)
}

// TestPlanOfWhere: a slot stays with whom it was first reported for; two who would overwrite each
// other are not reported.
func TestPlanOfWhere(t *testing.T) {
	t.Parallel()
	s := queries.OpenSlot{Slot: planSlot("m"), Own: 5, Sendable: true}
	f := func(s queries.OpenSlot, to target, mode schema.ReportMode, want task, who, alert string) {
		t.Helper()
		j := plan(s, to, mode, planNow)
		got := j.intent.Customer + "/" + j.intent.SubscriptionItem
		if j.task != want || got != who || j.alert != alert {
			t.Errorf("%+v to %+v: task %d, %s, alert %q", s, to, j.task, got, j.alert)
		}
	}
	both := target{customer: "cus_1", item: "si_1"}
	f(s, both, schema.Preaggregated, freeze, "cus_1/si_1", "")
	f(s, target{}, schema.Preaggregated, rest, "/", "")
	f(s, target{customer: "cus_1"}, schema.Preaggregated, freeze, "cus_1/", "")
	f(s, target{customer: "cus_1"}, schema.UsageRecord, rest, "/", "no_item")
	f(s, target{customer: "cus_1", shared: true}, schema.Preaggregated, rest, "/", "shared")
	s.Latest, s.Customer, s.Item = 1, "cus_0", "si_0"
	f(s, both, schema.Preaggregated, freeze, "cus_0/si_0", "")
	f(s, target{}, schema.UsageRecord, freeze, "cus_0/si_0", "")

	if j := plan(s, both, schema.Preaggregated, planNow); j.moves() {
		t.Error("a slot that Stripe took moves")
	}
	s.Failures = 1
	if j := plan(s, both, schema.Preaggregated, planNow); !j.moves() {
		t.Error("a slot that Stripe never took stays with the wrong customer")
	}
	if j := plan(s, target{}, schema.Preaggregated, planNow); j.moves() {
		t.Error("a slot moves to nobody")
	}
	for v := schema.NotSent; v <= schema.Differs; v++ {
		none := v == schema.Rejected || v == schema.Refused
		of := []schema.Revision{{Verdict: schema.Rejected}, {Verdict: v}}
		if v.String() != "" && tookNone(of) != none {
			t.Errorf("%s: tookNone is %v", v, !none)
		}
	}
}

// TestTargets: what the catalog says, and who is in whose way.
func TestTargets(t *testing.T) {
	t.Parallel()
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	organization := func(n byte, customer, meter, item string, more ...schema.MeterMapping,
	) schema.Organization {
		return schema.Organization{ID: id(n), Stripe: schema.StripeMapping{
			Customer: customer, Meter: meter, SubscriptionItem: item, Meters: more,
		}}
	}
	got := targetsOf([]schema.Organization{
		organization(1, "cus_1", "m", "si_1",
			schema.MeterMapping{Meter: "s", SubscriptionItem: "si_2"}),
		organization(2, "cus_2", "m", "si_3",
			schema.MeterMapping{Meter: "m", SubscriptionItem: "si_4"}),
		organization(3, "cus_3", "m", ""), organization(4, "cus_3", "s", ""),
		organization(5, "cus_3", "m", ""),
		organization(6, "cus_6", "m", "si_6"), organization(7, "cus_7", "m", "si_6"),
		organization(8, "", "m", "si_8"), organization(9, "cus_9", "", ""),
		organization(10, "cus_10", "m", "si_10",
			schema.MeterMapping{Meter: "s", SubscriptionItem: "si_10"}),
	}, []schema.Organization{
		organization(11, "cus_11", "m", "si_11"), organization(12, "cus_1", "m", "si_12"),
		organization(13, "", "m", ""), organization(14, "cus_11", "s", "si_2"),
	}, []schema.Meter{{Name: "m", StripeID: "mtr_m"}})
	want := targets{
		{id(1), "m"}:  {customer: "cus_1", item: "si_1", stripeID: "mtr_m"},
		{id(1), "s"}:  {customer: "cus_1", item: "si_2"},
		{id(2), "m"}:  {customer: "cus_2", item: "si_4", stripeID: "mtr_m"},
		{id(3), "m"}:  {customer: "cus_3", stripeID: "mtr_m", shared: true},
		{id(4), "s"}:  {customer: "cus_3"},
		{id(5), "m"}:  {customer: "cus_3", stripeID: "mtr_m", shared: true},
		{id(6), "m"}:  {customer: "cus_6", item: "si_6", stripeID: "mtr_m", shared: true},
		{id(8), ""}:   {away: true},
		{id(7), "m"}:  {customer: "cus_7", item: "si_6", stripeID: "mtr_m", shared: true},
		{id(10), "m"}: {customer: "cus_10", item: "si_10", stripeID: "mtr_m", shared: true},
		{id(10), "s"}: {customer: "cus_10", item: "si_10", shared: true},
		// Retired ones are in nobody's way, and others may be in theirs.
		{id(11), "m"}: {customer: "cus_11", item: "si_11", stripeID: "mtr_m", gone: true},
		{id(12), "m"}: {customer: "cus_1", item: "si_12", stripeID: "mtr_m", gone: true, shared: true},
		{id(13), ""}:  {away: true, gone: true},
		{id(14), "s"}: {customer: "cus_11", item: "si_2", gone: true, shared: true},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(meterOf{}, target{})); d != "" {
		t.Error(d)
	}
}

// TestDeliveries: a key is as old as the revision, but for those that replay an error; and by its
// time, too, the newest revision of an hour is the most recent.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	f := func(mode schema.ReportMode, revision uint32, rotations uint64, key string, second int) {
		t.Helper()
		r := schema.Revision{Intent: schema.Intent{
			Slot: planSlot("m"), Revision: revision, Mode: mode, Identifier: "name", Send: 7,
		}, Rotations: rotations, Attempts: 5}
		d := deliveryOf(r)
		if d.Key != key || !d.Time.Equal(planHour.Add(time.Duration(second)*time.Second)) ||
			d.Intent != r.Intent {
			t.Errorf("%+v", d)
		}
	}
	f(schema.Preaggregated, 1, 0, "name", 1)
	f(schema.Preaggregated, 3600, 2, "name-g2", 3599)
	f(schema.UsageRecord, 3, 1, "name-g1", 0)
	f(schema.Raw, 3, 0, "name", 0)
}

// TestVerdictsOfAnswers: the second error of Stripe's own in a row asks for another key, as the
// first may be replayed for a day; an answer that says nothing is no delivery.
func TestVerdictsOfAnswers(t *testing.T) {
	t.Parallel()
	f := func(attempts uint64, a Answer, want schema.Verdict) {
		t.Helper()
		if got := verdictOf(schema.Revision{Attempts: attempts}, a); got != want {
			t.Errorf("after %d attempts %+v is %s, want %s", attempts, a, got, want)
		}
	}
	f(0, Answer{Verdict: schema.Unknown, HTTPStatus: 500}, schema.Unknown)
	f(1, Answer{Verdict: schema.Unknown, HTTPStatus: 500}, schema.Rotate)
	f(1, Answer{Verdict: schema.Unknown, HTTPStatus: 200}, schema.Unknown)
	f(1, Answer{Verdict: schema.Unknown, Silent: true}, schema.Unknown)
	f(1, Answer{Verdict: schema.Accepted, HTTPStatus: 200}, schema.Accepted)
	f(0, Answer{Ends: schema.RunHalted, HTTPStatus: 401}, schema.NotSent)
	f(0, Answer{}, schema.Unknown)
}

// TestSettling: what Stripe's sums say of a revision that is not sent again. In mode raw a sum that
// fits neither is never guessed at: whatever was guessed would be billed.
func TestSettling(t *testing.T) {
	t.Parallel()
	f := func(mode schema.ReportMode, before, total, send, has int64,
		want schema.Verdict, wrong bool,
	) {
		t.Helper()
		s := queries.OpenSlot{Told: before}
		s.Open.Mode, s.Open.Total, s.Open.Send = mode, total, send
		got, text := settledBy(s, has)
		if got != want || (text != "") != wrong {
			t.Errorf("%s: %d before, %d after, Stripe has %d: %s %q",
				mode, before, total, has, got, text)
		}
	}
	f(schema.Preaggregated, 5, 9, 9, 9, schema.Settled, false)
	f(schema.Preaggregated, 5, 9, 9, 5, schema.Abandoned, false)
	f(schema.Preaggregated, 5, 9, 9, 7, schema.Abandoned, true)
	f(schema.Raw, 5, 9, 4, 9, schema.Settled, false)
	f(schema.Raw, 5, 9, 4, 5, schema.Abandoned, false)
	f(schema.Raw, 5, 9, 4, 13, schema.Unknown, true)
	f(schema.Raw, 5, 2, -3, 2, schema.Settled, false)
	f(schema.Raw, 0, 9, 4, 4, schema.Settled, false) // another difference than the totals'
}

// TestRoom: a carry never makes a slot into one that Stripe would refuse.
func TestRoom(t *testing.T) {
	t.Parallel()
	const big = schema.SlotUnitsMax
	f := func(mode schema.ReportMode, want, units, takes int64) {
		t.Helper()
		if got := room(want, units, mode); got != takes {
			t.Errorf("%s: of %d to a slot with %d go %d, want %d", mode, units, want, got, takes)
		}
	}
	for _, mode := range []schema.ReportMode{schema.Preaggregated, schema.Raw} {
		f(mode, 10, 5, 5)
		f(mode, 10, -50, -50)
		f(mode, big-1, 5, 1)
		f(mode, -big+1, -5, -1)
		f(mode, 2*big, 5, 0)
		f(mode, -2*big, -5, 0)
		f(mode, 2*big, -5, -5)
	}
	f(schema.UsageRecord, 10, 5, 5)
	f(schema.UsageRecord, 10, -5, -5)
	f(schema.UsageRecord, 10, -50, -10)
	f(schema.UsageRecord, 0, -50, 0)
	f(schema.UsageRecord, -3, -50, 0)
	f(schema.UsageRecord, -3, 50, 50)
	f(schema.Raw, 0, -1<<63, -big)
	f(schema.Raw, 0, 1<<63-1, big)
}

// TestWaits: Stripe is left alone longer each time, at least as long as it asks for and never for
// longer than that, or half an hour and a little.
func TestWaits(t *testing.T) {
	t.Parallel()
	f := func(times int, asked time.Duration, last byte, want time.Duration) {
		t.Helper()
		if got := waitAfter(times, asked, uuid.UUID{15: last}); got != want {
			t.Errorf("%d times, asked for %s: %s, want %s", times, asked, got, want)
		}
	}
	f(1, 0, 0, time.Minute)
	f(2, 0, 0, 2*time.Minute)
	f(5, 0, 0, 16*time.Minute)
	f(6, 0, 0, 30*time.Minute)
	f(1<<40, 0, 0, 30*time.Minute)
	f(1, 0, 128, time.Minute+3*time.Second)
	f(1, 7*time.Second, 0, time.Minute)
	f(1, 10*time.Minute, 0, 10*time.Minute)
	f(1, 24*time.Hour, 0, time.Hour)
}

// TestOldestSendable: an hour that is reported now is one that Stripe takes for some hours yet.
func TestOldestSendable(t *testing.T) {
	t.Parallel()
	for _, now := range []time.Time{planHour, planHour.Add(1), planHour.Add(time.Hour - 1)} {
		oldest := oldestSendable(now)
		left := 35*24*time.Hour - now.Sub(oldest)
		if oldest.Truncate(time.Hour) != oldest || left < 6*time.Hour || left >= 7*time.Hour {
			t.Errorf("at %s from %s on, which has %s left", now, oldest, left)
		}
	}
}
