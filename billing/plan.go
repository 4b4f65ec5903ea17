package billing

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// What Stripe takes and remembers, with a margin each: events of 35 days, names for 24 hours.
const (
	sendable    = 35*24*time.Hour - 6*time.Hour // from the slot's hour on
	sendWithin  = 20 * time.Hour                // of an intent's time, if again could mean twice
	settleAfter = 22 * time.Hour                // an intent's time, Stripe's sums are asked instead
	settleRest  = 2 * time.Hour                 // and so long after the last try: sums come late
)

// meterOf names a meter of an organization.
type meterOf struct {
	organization uuid.UUID
	meter        string
}

// target is where the catalog has a meter of an organization reported.
type target struct {
	customer string
	item     string
	stripeID string    // of the meter; empty: Stripe is asked
	shared   bool      // somebody else is reported there too: one would overwrite the other
	away     bool      // the organization has no customer: what Stripe was told of it stays
	gone     bool      // the organization is retired: it is in nobody's way
	since    time.Time // hours before stay as they were told
}

// targets is where the catalog has everything reported. An organization without a customer is there
// under the empty meter.
type targets map[meterOf]target

// of returns where the catalog has a slot reported, zero when it does not say.
func (t targets) of(s schema.Slot) target {
	if gone, ok := t[meterOf{s.Organization, ""}]; ok {
		return gone
	}
	return t[meterOf{s.Organization, s.Meter}]
}

// targetsOf returns where everything is reported, of retired organizations too: what they used is
// told to the end.
func targetsOf(
	organizations, retired []schema.Organization, meters []schema.Meter,
) targets {
	ids := make(map[string]string, len(meters))
	for _, m := range meters {
		ids[m.Name] = m.StripeID
	}
	all := make(targets)
	add := func(o *schema.Organization, gone bool) {
		if o.Stripe.Customer == "" {
			all[meterOf{o.ID, ""}] = target{away: true, gone: gone}
			return
		}
		for _, m := range metersOf(o.Stripe) {
			key := meterOf{o.ID, m.Meter}
			if _, known := all[key]; known || m.Meter == "" {
				continue
			}
			all[key] = target{
				customer: o.Stripe.Customer, item: m.SubscriptionItem, stripeID: ids[m.Meter],
				since: o.Stripe.Since, gone: gone,
			}
		}
	}
	for i := range organizations {
		add(&organizations[i], false)
	}
	for i := range retired {
		add(&retired[i], true)
	}
	markShared(all)
	return all
}

// markShared finds who would overwrite another. Whoever took a retired organization's place is told
// of, and the retired one is not.
func markShared(all targets) {
	type place struct{ customer, meter, item string }
	taken, held := make(map[place]int, 2*len(all)), make(map[place]int)
	places := func(key meterOf, t target) []place {
		if t.away {
			return nil
		}
		both := []place{{customer: t.customer, meter: key.meter}}
		if t.item != "" {
			both = append(both, place{item: t.item})
		}
		return both
	}
	for key, t := range all {
		for _, p := range places(key, t) {
			held[p]++
			if !t.gone {
				taken[p]++
			}
		}
	}
	for key, t := range all {
		for _, p := range places(key, t) {
			t.shared = t.shared || taken[p] > 1 || t.gone && held[p] > 1
		}
		all[key] = t
	}
}

// task is what is to be done about a slot.
type task int8

const (
	rest    task = iota // nothing, for now
	freeze              // a new revision has to be fixed
	send                // the open revision has to be sent
	settle              // what became of the open revision has to be read from Stripe's sums
	abandon             // the open revision cannot be sent any more, and no sum tells of it
)

// job is a slot and what is to be done about it.
type job struct {
	slot   queries.OpenSlot
	to     target
	task   task
	intent schema.Intent // for freeze, but for its time and writer
	alert  string        // of rest: why somebody has to look at it; empty: nobody has to
}

// customer returns whom the job is about.
func (j job) customer() string {
	if j.task == freeze {
		return j.intent.Customer
	}
	return j.slot.Open.Customer
}

// plan decides what is to be done about a slot, as of now. t is where the catalog has it reported,
// zero when it does not say.
func plan(s queries.OpenSlot, t target, mode schema.ReportMode, now time.Time) job {
	j := job{slot: s, to: t}
	if s.Open.Revision != 0 {
		j.task = planOpen(s, now)
		return j
	}
	if !s.Sendable || t.away {
		return j
	}
	customer, item := s.Customer, s.Item
	if s.Latest == 0 {
		customer, item = t.customer, t.item
	}
	switch {
	case t.shared:
		j.alert = "shared"
		return j
	case customer == "":
		return j
	case mode == schema.UsageRecord && item == "":
		j.alert = "no_item"
		return j
	}
	total, units, needed := unitsOf(s, mode)
	if !needed {
		return j
	}
	j.task = freeze
	j.intent = schema.Intent{
		Slot: s.Slot, Revision: s.Latest + 1, Mode: mode, Total: total, Send: units,
		Identifier: Identifier(s.Slot, s.Latest+1), Customer: customer, SubscriptionItem: item,
	}
	return j
}

// planOpen decides about a revision that may have been sent. How it is sent is in the revision: the
// mode may have been changed since.
func planOpen(s queries.OpenSlot, now time.Time) task {
	age := now.Sub(s.Open.CreatedAt)
	late := s.Open.Mode == schema.Raw && age >= sendWithin
	switch {
	case s.Sendable && !late:
		return send
	case s.Open.Mode == schema.UsageRecord:
		return abandon
	case age < settleAfter || now.Sub(s.Open.LastAt) < settleRest:
		return rest
	}
	return settle
}

// behind reports whether a slot has something to be told beyond its open revision.
func (j job) behind() bool {
	after := j.slot.Open.Total
	if j.slot.Open.Mode == schema.Raw {
		after = j.slot.Told + j.slot.Open.Send
	}
	return j.slot.Sendable && after != j.slot.Want()
}

// moves reports whether a new revision would go where the catalog has its slot now, if Stripe never
// took one of the slot: that mends a customer that was wrong. What Stripe took stays where it is.
func (j job) moves() bool {
	return j.task == freeze && j.slot.Latest > 0 && j.slot.Failures >= j.slot.Latest &&
		j.to.customer != "" && (j.to.customer != j.slot.Customer || j.to.item != j.slot.Item)
}

// tookNone reports whether Stripe never took one of a slot's revisions.
func tookNone(revisions []schema.Revision) bool {
	for _, r := range revisions {
		if r.Verdict != schema.Rejected && r.Verdict != schema.Refused {
			return false
		}
	}
	return true
}

// unitsOf returns the total of a slot's next revision and what is sent for it; false when there is
// nothing to send, or nothing that Stripe takes.
func unitsOf(s queries.OpenSlot, mode schema.ReportMode) (total, units int64, needed bool) {
	total = s.Want()
	if mode == schema.UsageRecord {
		total = max(total, 0) // Stripe refuses less; the invoice shows what is missing
	}
	units = total
	if mode == schema.Raw {
		units = total - s.Told
	}
	switch {
	case mode == schema.Raw:
		needed = units != 0
	case s.Latest == 0:
		needed = total != 0
	default:
		needed = s.Failures > 0 || total != s.Told
	}
	return total, units, needed && fits(total) && fits(units)
}

func fits(units int64) bool {
	return units >= -schema.SlotUnitsMax && units <= schema.SlotUnitsMax
}

const (
	identifierPrefix = "mh1-"
	uuidLength       = 36
	plainMeterMax    = 32 // bytes of a meter's name that an identifier shows
)

// Identifier returns the name under which Stripe is told of a revision of a slot. It has at most
// 100 characters, and no other revision has it.
func Identifier(s schema.Slot, revision uint32) string {
	meter := s.Meter
	if !plain(meter) {
		sum := sha256.Sum256([]byte(meter))
		meter = hex.EncodeToString(sum[:8])
	}
	return identifierPrefix + s.Organization.String() + "-" + meter + "-" +
		strconv.FormatInt(s.Start.Unix(), 10) + "-r" + strconv.FormatUint(uint64(revision), 10)
}

func plain(meter string) bool {
	for _, c := range []byte(meter) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return meter != "" && len(meter) <= plainMeterMax
}

// ParseIdentifier reads what Identifier writes, or an idempotency key made of it, and returns what
// the revision is found by. False: it is none of ours.
func ParseIdentifier(text string) (queries.IdentifierParams, bool) {
	text, _ = cutNumber(text, "-g")
	after, ok := strings.CutPrefix(text, identifierPrefix)
	if !ok || len(after) < uuidLength {
		return queries.IdentifierParams{}, false
	}
	organization, err := uuid.Parse(after[:uuidLength])
	if err != nil {
		return queries.IdentifierParams{}, false
	}
	after, revision := cutNumber(after[uuidLength:], "-r")
	_, start := cutNumber(after, "-")
	if revision < 1 || start < 0 || start%int64(schema.SlotLength/time.Second) != 0 {
		return queries.IdentifierParams{}, false
	}
	return queries.IdentifierParams{
		Organization: organization, Start: time.Unix(start, 0).UTC(), Identifier: text,
	}, true
}

// cutNumber cuts a mark and the digits after it off the end of text; -1 when they are not there.
func cutNumber(text, mark string) (string, int64) {
	at := strings.LastIndex(text, mark)
	if at < 0 {
		return text, -1
	}
	n, err := strconv.ParseUint(text[at+len(mark):], 10, 33)
	if err != nil {
		return text, -1
	}
	return text[:at], int64(n)
}

// deliveryOf returns what Stripe is sent for an open revision.
func deliveryOf(r schema.Revision) Delivery {
	d := Delivery{Intent: r.Intent, Key: r.Identifier, Time: r.Slot.Start}
	if r.Rotations > 0 {
		d.Key += "-g" + strconv.FormatUint(r.Rotations, 10)
	}
	if r.Mode == schema.Preaggregated {
		// The newest event of an hour counts, so that by its time as by its arrival that is the
		// newest revision.
		d.Time = d.Time.Add(time.Duration(min(r.Revision, 3599)) * time.Second)
	}
	return d
}

// verdictOf returns what an answer says of a revision: a second error of Stripe's own asks for
// another key, as Stripe may repeat it for a day to whoever comes with the first. The identifier
// stays, and so a revision that did arrive is still known there.
func verdictOf(r schema.Revision, a Answer) schema.Verdict {
	switch {
	case a.Verdict == schema.Unknown && a.HTTPStatus >= 500 && r.Attempts > 0:
		return schema.Rotate
	case a.Verdict == schema.NotSent && a.Ends == 0:
		return schema.Unknown
	}
	return a.Verdict
}

// settledBy decides about an open revision of a slot by what Stripe has of its hour. The text says
// what is wrong, when something is.
func settledBy(s queries.OpenSlot, has int64) (schema.Verdict, string) {
	r := s.Open
	after := r.Total
	if r.Mode == schema.Raw {
		after = s.Told + r.Send
	}
	switch {
	case has == after:
		return schema.Settled, ""
	case has == s.Told:
		return schema.Abandoned, ""
	}
	verdict := schema.Abandoned
	if r.Mode == schema.Raw {
		verdict = schema.Unknown // a guess would be billed: somebody has to look
	}
	return verdict, "Stripe has " + strconv.FormatInt(has, 10) + " units of the hour: neither " +
		"the " + strconv.FormatInt(s.Told, 10) + " from before the revision nor the " +
		strconv.FormatInt(after, 10) + " with it"
}
