package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// slotsMax bounds an answer of Slots when it is asked for no fewer.
const slotsMax = 10_000

// Slots returns slots ordered by hour, organization and meter. Invalid when there are more than
// p.Limit of them, or of 10,000 when it is 0: the range has to be narrowed.
func (r *Reporter) Slots(
	ctx context.Context, p schema.SlotsParams,
) ([]schema.SlotReport, error) {
	if !p.From.Before(p.To) {
		return nil, schema.Errorf(schema.Invalid, "to", "must be after from")
	}
	if p.Limit <= 0 || p.Limit > slotsMax {
		p.Limit = slotsMax
	}
	all, err := r.cfg.Queries.SlotStatuses(ctx, queries.SlotsParams{
		Organization: p.Organization, From: p.From, To: p.To, Limit: uint64(p.Limit) + 1,
	})
	if err != nil {
		return nil, err
	}
	if len(all) > p.Limit {
		return nil, schema.Errorf(schema.Invalid, "to",
			"there are more than %d slots until then: ask for a shorter range", p.Limit)
	}
	look, err := r.lookAt(ctx, p.Organization, all)
	if err != nil {
		return nil, err
	}
	reports := make([]schema.SlotReport, len(all))
	for i := range all {
		reports[i] = look.report(all[i])
	}
	return reports, nil
}

// lookAt returns what the states of these slots, of one organization or of all, depend on besides
// themselves. What is due is only asked for when one of them can no longer be told.
func (r *Reporter) lookAt(
	ctx context.Context, organization uuid.UUID, all []queries.SlotStatus,
) (l slotLook, err error) {
	now := r.now()
	l = slotLook{
		now: now, oldest: oldestSendable(now), sending: r.cfg.Stripe != nil, mode: r.cfg.Mode,
	}
	if l.sealed, err = r.sealed(ctx, now); err != nil {
		return l, err
	}
	organizations, behind := make(map[uuid.UUID]bool), false
	for i := range all {
		switch s := &all[i]; {
		case synced(s):
		case l.past(s):
			organizations[s.Slot.Organization], behind = true, true
		default:
			behind = true
		}
	}
	if behind {
		if l.targets, err = r.targets(ctx); err != nil {
			return l, err
		}
	}
	if len(organizations) == 0 {
		return l, nil
	}
	due, err := r.cfg.Queries.DueCarries(ctx, queries.DueParams{
		Mode: r.cfg.Mode, From: now.Add(-carryFrom).Truncate(schema.SlotLength), Oldest: l.oldest,
		Carried: now.Add(time.Hour), Limit: slotsMax, // what was carried a moment ago does not wait
		Organization: organization,
	})
	if err != nil {
		return l, err
	}
	l.due = make(map[schema.Slot]int64, len(due))
	for _, d := range due {
		l.due[schema.Slot{Organization: d.Organization, Meter: d.Meter, Start: d.From.UTC()}] = d.Units
	}
	for id := range organizations {
		periods, err := r.cfg.Queries.StripePeriods(ctx, id)
		if err != nil {
			return l, err
		}
		for _, p := range periods {
			if p.Finalized {
				l.periods = append(l.periods, p)
			}
		}
	}
	return l, nil
}

// slotLook is what the state of a slot depends on besides itself.
type slotLook struct {
	now     time.Time
	sealed  time.Time // hours that end after may still get usage of their time
	oldest  time.Time // Stripe takes nothing of hours before
	sending bool      // there is a key
	mode    schema.ReportMode

	targets targets               // where the catalog has everything reported
	periods []schema.StripePeriod // that are finalized
	due     map[schema.Slot]int64 // what is to be carried, by the slot at its origin
}

// report tells a slot to the outside.
func (l slotLook) report(s queries.SlotStatus) schema.SlotReport {
	r := schema.SlotReport{
		Slot: s.Slot, Unit: s.Unit, Billable: s.Own + s.Carried, Reported: s.Told,
		CarriedIn: s.Carried, CarriedOut: s.CarriedOut, Revision: s.Latest.Revision,
		Unpriced: s.Unpriced, Closed: s.Closed,
	}
	r.State, r.Detail = l.state(&s)
	return r
}

// state says how far a slot is, and what there is to do when it does not go on by itself. The
// first that applies counts.
func (l slotLook) state(s *queries.SlotStatus) (schema.SlotState, string) {
	want, latest := s.Own+s.Carried, &s.Latest
	switch {
	case s.Slot.Meter == "" || !s.Mapped && latest.Revision == 0:
		return schema.SlotUnmapped, "the organization has no stripe.customer, or none of its " +
			"meters counts this usage: set them in the catalog"
	case latest.Revision > 0 && latest.Verdict.Open():
		return schema.SlotSent, ""
	case synced(s) && (latest.Revision > 0 || l.isSealed(s)):
		return schema.SlotAcked, ""
	case l.targets.of(s.Slot).away:
		return schema.SlotUnmapped, "the organization has no stripe.customer any more: what " +
			"Stripe was told of it stays"
	case latest.Revision > 0 && s.Slot.Start.Before(l.targets.of(s.Slot).since):
		return schema.SlotAcked, "it is before stripe.since: what Stripe was told of it stays"
	case want > schema.SlotUnitsMax || want < -schema.SlotUnitsMax:
		return schema.SlotRejected, fmt.Sprintf("%d units are more than Stripe takes as one value "+
			"(%d): correct the events that are wrong, or split the usage over more meters",
			want, schema.SlotUnitsMax)
	case l.past(s):
		return l.closed(s)
	case turnedDown(latest.Verdict):
		return schema.SlotRejected, l.refusal(s)
	case latest.Revision == 0 && !l.isSealed(s):
		return schema.SlotOpen, ""
	}
	return schema.SlotPending, l.held(s)
}

// held says why a slot that is to be told is not; empty: it will be.
func (l slotLook) held(s *queries.SlotStatus) string {
	t, item := l.targets.of(s.Slot), s.Latest.SubscriptionItem
	if s.Latest.Revision == 0 {
		item = t.item
	}
	switch {
	case !l.sending:
		return "nothing is sent without STRIPE_API_KEY"
	case t.shared:
		return alerts["shared"]
	case l.mode == schema.UsageRecord && item == "":
		return alerts["no_item"]
	case l.mode == schema.UsageRecord && s.Own+s.Carried < 0 && s.Told == 0:
		return "a usage record cannot be negative: what is too much is carried when the period " +
			"is invoiced"
	}
	return ""
}

// closed is the state of a slot that Stripe takes no more and does not have as it is: what it
// lacks goes elsewhere.
func (l slotLook) closed(s *queries.SlotStatus) (schema.SlotState, string) {
	why, from, period := "it is older than Stripe takes", s.Slot.Start, false
	if !from.Before(l.oldest) {
		why = "a later period is invoiced"
	}
	for _, p := range l.periods {
		if p.Organization == s.Slot.Organization && p.Meter == s.Slot.Meter &&
			!s.Slot.Start.Before(p.Start) && s.Slot.Start.Before(p.End) {
			why, from, period = "its period is on invoice "+p.Invoice, p.Start.UTC(), true
		}
	}
	units := l.due[schema.Slot{
		Organization: s.Slot.Organization, Meter: s.Slot.Meter, Start: from,
	}]
	switch {
	case units != 0 && period:
		return schema.SlotPending, fmt.Sprintf(
			"%s; %d units of the period are to be carried into a later slot", why, units)
	case units != 0:
		return schema.SlotPending, fmt.Sprintf(
			"%s; %d units are to be carried into a later slot", why, units)
	case period || s.CarriedOut != 0 || s.Latest.Revision > 0:
		return schema.SlotAcked, why + "; what it lacked is on the invoice or was carried on"
	}
	return schema.SlotRejected, why + ", and nothing of its meter was reported before: it is not " +
		"reported. Invoice it by hand, or set stripe.since to when reporting began"
}

// past reports whether Stripe takes nothing of a slot any more.
func (l slotLook) past(s *queries.SlotStatus) bool {
	return s.Closed || s.Slot.Start.Before(l.oldest)
}

func (l slotLook) isSealed(s *queries.SlotStatus) bool { return !s.Slot.End().After(l.sealed) }

// synced reports whether Stripe has what is billable in a slot.
func synced(s *queries.SlotStatus) bool {
	want, latest := s.Own+s.Carried, &s.Latest
	switch {
	case latest.Revision == 0:
		return want == 0
	case latest.Mode == schema.Raw: // every revision that was delivered counts
		return s.Told == want && !latest.Verdict.Open()
	}
	return latest.Verdict.Delivered() && latest.Total == want
}

// turnedDown reports whether Stripe has said that it does not take a revision as it is.
func turnedDown(v schema.Verdict) bool {
	return v == schema.Rejected || v == schema.Refused || v == schema.KeyConflict
}

// refusal says why Stripe refused a slot, what to do, and when it is told again.
func (l slotLook) refusal(s *queries.SlotStatus) string {
	said := s.Said
	if said == "" {
		said = "no reason is known"
	}
	again := "at the next pass"
	if until := s.Latest.LastAt.Add(restOf(s.Failures)); until.After(l.now) {
		again = "after " + until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("Stripe refused revision %d: %s; %s; it is told again %s",
		s.Latest.Revision, said, remedy(s), again)
}

// restOf is how long a slot rests of which Stripe refused so many revisions in a row: an hour,
// then two, up to a day, as OpenSlots has it.
func restOf(failures uint32) time.Duration {
	const least, most = time.Hour, 24 * time.Hour
	return min(least<<min(max(failures, 1)-1, 5), most)
}

// remedy says what to do about a refusal, by what Stripe's words are about.
func remedy(s *queries.SlotStatus) string {
	said := strings.ToLower(s.Said)
	about := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case s.Latest.Verdict == schema.KeyConflict:
		return "two numbers were sent under one name, which must never be: keep what " +
			"`meterhouse report --explain " + s.Slot.String() + "` prints and report it"
	case about("customer"):
		return "check the organization's stripe.customer"
	case about("subscription item", "subscription_item", "usage record", "usage_record"):
		return "check the meter's subscription_item in the catalog"
	case about("timestamp", "in the past", "in the future"):
		return "check this machine's clock"
	case about("meter", "event_name", "event name"):
		return "check that Stripe has an active meter with the event name " + s.Slot.Meter
	}
	return "see docs/billing.md"
}
