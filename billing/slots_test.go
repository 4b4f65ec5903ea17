package billing

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestSlotsSayHowFarTheyAre is the table of states: what the database has of a slot, and what
// people are told of it.
func TestSlotsSayHowFarTheyAre(t *testing.T) {
	t.Parallel()
	now := atTime(t, "2026-11-22T14:05:00Z")
	look := slotLook{
		now: now, sealed: now.Add(-10 * time.Minute), oldest: oldestSendable(now),
		sending: true, mode: schema.Preaggregated,
	}
	sealed := atTime(t, "2026-11-22T12:00:00Z")
	status := func(change func(*queries.SlotStatus)) queries.SlotStatus {
		s := queries.SlotStatus{
			Slot: schema.Slot{Organization: uuid.NameSpaceURL, Meter: "m", Start: sealed},
			Own:  90, Carried: 10, Mapped: true,
		}
		change(&s)
		return s
	}
	told := func(v schema.Verdict, total int64) func(*queries.SlotStatus) {
		return func(s *queries.SlotStatus) {
			s.Latest = schema.Revision{Verdict: v, LastAt: now.Add(-90 * time.Minute)}
			s.Latest.Revision, s.Latest.Mode, s.Latest.Total = 3, schema.Preaggregated, total
			if v.Delivered() {
				s.Told = total
			}
		}
	}
	f := func(
		name string, want schema.SlotState, detail string, changes ...func(*queries.SlotStatus),
	) {
		t.Helper()
		s := status(func(s *queries.SlotStatus) {
			for _, c := range changes {
				c(s)
			}
		})
		state, got := look.state(&s)
		if state != want || !strings.Contains(got, detail) || detail == "" && got != "" {
			t.Errorf("%s: %s, %q, want %s, %q", name, state, got, want, detail)
		}
	}
	raw := func(s *queries.SlotStatus) { s.Latest.Mode = schema.Raw }
	start := func(at time.Time) func(*queries.SlotStatus) {
		return func(s *queries.SlotStatus) { s.Slot.Start = at }
	}
	running := start(now.Truncate(time.Hour))
	unsealed := start(atTime(t, "2026-11-22T13:00:00Z")) // over for five minutes
	nothing := func(s *queries.SlotStatus) { s.Own, s.Carried = 0, 0 }
	failures := func(n uint32, said string) func(*queries.SlotStatus) {
		return func(s *queries.SlotStatus) { s.Failures, s.Said = n, said }
	}

	f("no meter", schema.SlotUnmapped, "catalog", func(s *queries.SlotStatus) { s.Slot.Meter = "" })
	f("no customer", schema.SlotUnmapped, "stripe.customer",
		func(s *queries.SlotStatus) { s.Mapped = false })
	f("the customer was taken away", schema.SlotAcked, "", told(schema.Accepted, 100),
		func(s *queries.SlotStatus) { s.Mapped = false })

	f("running", schema.SlotOpen, "", running)
	f("running, nothing billable", schema.SlotOpen, "", running, nothing)
	f("not sealed", schema.SlotOpen, "", unsealed)
	f("not sealed, told because its period is drafted", schema.SlotAcked, "",
		unsealed, told(schema.Accepted, 100))
	f("not sealed, more came since", schema.SlotPending, "", unsealed, told(schema.Accepted, 99))
	f("sealed", schema.SlotPending, "")
	f("nothing billable", schema.SlotAcked, "", nothing)

	f("just fixed", schema.SlotSent, "", told(schema.NotSent, 100))
	f("no answer", schema.SlotSent, "", told(schema.Unknown, 100))
	f("asked to wait", schema.SlotSent, "", told(schema.Retry, 100))
	f("another key", schema.SlotSent, "", told(schema.Rotate, 100))
	f("sent, more came since", schema.SlotSent, "", told(schema.Unknown, 50))

	f("accepted", schema.SlotAcked, "", told(schema.Accepted, 100))
	f("had it", schema.SlotAcked, "", told(schema.Duplicate, 100))
	f("settled", schema.SlotAcked, "", told(schema.Settled, 100))
	f("late usage", schema.SlotPending, "", told(schema.Accepted, 99))
	f("all was taken back", schema.SlotPending, "", told(schema.Accepted, 99), nothing)
	f("abandoned", schema.SlotPending, "", told(schema.Abandoned, 100))
	f("Stripe's sums differ", schema.SlotPending, "", told(schema.Differs, 100))

	f("raw, all of it", schema.SlotAcked, "", told(schema.Accepted, 100), raw)
	f("raw, some of it", schema.SlotPending, "", told(schema.Accepted, 100), raw,
		func(s *queries.SlotStatus) { s.Told = 60 })
	f("raw, the newest abandoned and no longer needed", schema.SlotAcked, "",
		told(schema.Abandoned, 70), raw, func(s *queries.SlotStatus) { s.Told = 100 })
	f("raw, the newest open", schema.SlotSent, "", told(schema.Unknown, 70), raw,
		func(s *queries.SlotStatus) { s.Told = 100 })

	f("refused, resting", schema.SlotRejected, "stripe.customer; it is told again after "+
		"2026-11-22T14:35:00Z", told(schema.Rejected, 100), failures(2, "No such customer: 'cus_1'"))
	f("refused, rested", schema.SlotRejected, "No such customer: 'cus_1'; check the "+
		"organization's stripe.customer; it is told again at the next pass",
		told(schema.Rejected, 100), failures(1, "No such customer: 'cus_1'"))
	f("refused later", schema.SlotRejected, "refused revision 3: archived_meter; check that "+
		"Stripe has an active meter with the event name m",
		told(schema.Refused, 100), failures(1, "archived_meter"))
	f("refused, a day at most", schema.SlotRejected, "2026-11-23T12:35:00Z",
		told(schema.Rejected, 100), failures(4_000_000_000, "x"))
	f("refused without a word", schema.SlotRejected, "no reason is known", told(schema.Rejected, 1))
	f("the item", schema.SlotRejected, "subscription_item in the catalog",
		told(schema.Rejected, 1), failures(1, "No such subscription item: 'si_1'"))
	f("the clock", schema.SlotRejected, "clock",
		told(schema.Rejected, 1), failures(1, "The event timestamp is too far in the future"))
	f("two numbers", schema.SlotRejected, "must never be",
		told(schema.KeyConflict, 100), failures(1, "idempotency_error"))

	over := func(s *queries.SlotStatus) { s.Own = schema.SlotUnitsMax }
	f("too large", schema.SlotRejected, "more than Stripe takes", over)
	f("too far below nothing", schema.SlotRejected, "more than Stripe takes",
		func(s *queries.SlotStatus) { s.Own = -schema.SlotUnitsMax - 11 })
	f("just not too large", schema.SlotPending, "", over,
		func(s *queries.SlotStatus) { s.Carried = 0 })

	here := meterOf{uuid.NameSpaceURL, "m"}
	look.targets = targets{here: {customer: "cus_1", item: "si_1", shared: true}}
	f("shared", schema.SlotPending, "one customer and meter")
	look.targets[here], look.mode = target{customer: "cus_1"}, schema.UsageRecord
	f("no item", schema.SlotPending, "needs the subscription item")
	look.targets[here] = target{customer: "cus_1", item: "si_1"}
	f("an item", schema.SlotPending, "")
	f("its first revision had none", schema.SlotPending, "needs the subscription item",
		told(schema.Accepted, 99))
	f("below nothing", schema.SlotPending, "cannot be negative",
		func(s *queries.SlotStatus) { s.Own = -11 })
	look.sending = false
	f("no key", schema.SlotPending, "STRIPE_API_KEY")

	look.targets = targets{{uuid.NameSpaceURL, ""}: {away: true}}
	f("no customer any more", schema.SlotUnmapped, "stays", told(schema.Accepted, 99))
	look.targets = targets{here: {customer: "cus_1", since: look.now}}
	f("before reports began", schema.SlotAcked, "stays", told(schema.Accepted, 99))
	f("no key, open", schema.SlotOpen, "", running)
}

// TestClosedSlotsSayWhereTheirUnitsAre has what Stripe takes no more.
func TestClosedSlotsSayWhereTheirUnitsAre(t *testing.T) {
	t.Parallel()
	now := atTime(t, "2026-11-22T14:05:00Z")
	organization := uuid.NameSpaceURL
	first := atTime(t, "2026-11-01T00:00:00Z")
	closed := schema.StripePeriod{
		Organization: organization, Meter: "m", Start: first, End: first.AddDate(0, 0, 15),
		Finalized: true, Invoice: "in_1",
	}
	f := func(
		name string, start time.Time, due map[time.Time]int64, change func(*queries.SlotStatus),
		want schema.SlotState, detail string,
	) {
		t.Helper()
		look := slotLook{
			now: now, sealed: now.Add(-10 * time.Minute), oldest: oldestSendable(now), sending: true,
			mode: schema.Preaggregated, periods: []schema.StripePeriod{closed},
			due: map[schema.Slot]int64{},
		}
		slot := func(start time.Time) schema.Slot {
			return schema.Slot{Organization: organization, Meter: "m", Start: start}
		}
		for from, units := range due {
			look.due[slot(from)] = units
		}
		s := queries.SlotStatus{Slot: slot(start), Own: 100, Mapped: true}
		s.Closed = start.Before(closed.End)
		change(&s)
		state, got := look.state(&s)
		if state != want || !strings.Contains(got, detail) || detail == "" && got != "" {
			t.Errorf("%s: %s, %q, want %s, %q", name, state, got, want, detail)
		}
	}
	delivered := func(total int64) func(*queries.SlotStatus) {
		return func(s *queries.SlotStatus) {
			s.Told, s.Latest.Verdict, s.Latest.Mode = total, schema.Accepted, schema.Preaggregated
			s.Latest.Revision, s.Latest.Total = 1, total
		}
	}
	refusedOnce := func(s *queries.SlotStatus) {
		s.Latest.Revision, s.Latest.Verdict = 1, schema.Rejected
	}
	never := func(*queries.SlotStatus) {}
	inside, old := first.Add(30*time.Hour), now.Add(-40*24*time.Hour).Truncate(time.Hour)

	f("as invoiced", inside, nil, delivered(100), schema.SlotAcked, "")
	f("late, to be carried", inside, map[time.Time]int64{first: 7}, delivered(90),
		schema.SlotPending, "on invoice in_1; 7 units of the period")
	f("late, carried", inside, nil, delivered(90), schema.SlotAcked, "was carried")
	f("late at the period's start", first, map[time.Time]int64{first: -7}, delivered(107),
		schema.SlotPending, "-7 units of the period")
	f("refused, and carried", inside, nil, refusedOnce, schema.SlotAcked, "on invoice in_1")
	f("another hour is due", inside, map[time.Time]int64{old: 7}, delivered(90),
		schema.SlotAcked, "in_1")

	f("too old, to be carried", old, map[time.Time]int64{old: 100}, never,
		schema.SlotPending, "older than Stripe takes; 100 units are to be carried")
	f("too old, carried", old, nil, delivered(90), schema.SlotAcked, "older than Stripe takes; ")
	f("too old, never told, carried", old, nil,
		func(s *queries.SlotStatus) { s.CarriedOut = 100 }, schema.SlotAcked, "carried")
	f("before the invoice, of no period that is known", first.Add(-time.Hour), nil, delivered(90),
		schema.SlotAcked, "a later period is invoiced; ")
	f("from before anything was reported", old, nil, never,
		schema.SlotRejected, "it is not reported")
}

func TestRefusedSlotsRest(t *testing.T) {
	t.Parallel()
	for failures, want := range map[uint32]time.Duration{
		0: time.Hour, 1: time.Hour, 2: 2 * time.Hour, 3: 4 * time.Hour, 5: 16 * time.Hour,
		6: 24 * time.Hour, 7: 24 * time.Hour, 1 << 31: 24 * time.Hour,
	} {
		if got := restOf(failures); got != want {
			t.Errorf("after %d failures %v, want %v", failures, got, want)
		}
	}
}
