package billing

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

const (
	settledAfter = 2 * time.Hour    // of the last try: Stripe's sums come late
	recordsAfter = 20 * time.Minute // the same of usage records, whose period has no settled part

	// repairBefore is how much younger a slot has to be than Stripe takes, so that telling it again
	// has its chances: one that gets too old meanwhile would be carried as if Stripe had none of it.
	repairBefore = 12 * time.Hour

	repairsMax   = 1000 // slots that one reconciliation has told again
	questionsMax = 5000 // that it asks Stripe: of each paid invoice, Stripe grants hundreds a month
	recordsSince = 400 * 24 * time.Hour

	// hoursAlone is how many of a range's last hours are compared one by one, though their sum may
	// be equal: what one has too much would hide what another lacks. They are one page of Stripe's.
	hoursAlone = 96

	// differsFor is how long a difference is shown of a meter that is not compared any more.
	differsFor = 2 * day
)

// Reconcile learns what Stripe has invoiced, holds what it says it has against what it was told,
// keeps every comparison, and has slots that differ told again where the mode allows it. Hours of which Stripe was told less than
// two hours ago are left alone. What could not be compared is Skipped; the error is of the
// database, or Unavailable when Stripe is not to be asked now.
func (r *Reporter) Reconcile(ctx context.Context) (all []schema.Comparison, err error) {
	ctx, span := r.begin(ctx, "reconcile")
	defer func() { endSpan(span, err) }()
	if r.cfg.Stripe == nil {
		return nil, schema.Errorf(schema.Unavailable, "", "billing is off: set STRIPE_API_KEY")
	}
	now := r.now()
	runs, err := r.cfg.Queries.ReportRuns(ctx, runsKept)
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if waitsUntil(run, now) {
			return nil, schema.Errorf(schema.Unavailable, "",
				"Stripe is left alone until %s", run.NotBefore.UTC().Format(time.RFC3339))
		}
	}
	if why, err := r.elsewhere(ctx); err != nil {
		return nil, err
	} else if why != "" {
		return nil, schema.Errorf(schema.Unavailable, "", "%s", why)
	}
	organizations, meters, err := r.cfg.Queries.Billed(ctx)
	if err != nil {
		return nil, err
	}
	retired, err := r.cfg.Queries.RetiredOrganizations(ctx)
	if err != nil {
		return nil, err
	}
	organizations = append(organizations, retired...)
	l := &look{
		asking: asking{Reporter: r}, run: uuid.New(), now: now, meters: metersByName(meters),
		invoices: newInvoices(r),
		from:     oldestSendable(now),
		to:       now.Add(-settledAfter).Truncate(time.Hour),
		before:   now.Add(-settledAfter),
	}
	if r.cfg.Mode == schema.UsageRecord {
		l.from, l.to = now.Add(-recordsSince), now.Add(time.Hour)
		l.before = now.Add(-recordsAfter)
	}
	// Begun anywhere, so that a bound does not always spare the same.
	first := int(binary.BigEndian.Uint32(l.run[:])) % max(1, len(organizations))
	for i := range organizations {
		if err := l.organization(ctx, organizations[(first+i)%len(organizations)]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(l.all, func(a, b schema.Comparison) int {
		return slices.Compare(a.Organization[:], b.Organization[:])
	})
	l.tell()
	l.invoices.tell()
	r.showDifferences(ctx)
	return l.all, nil
}

// look is one reconciliation.
type look struct {
	asking
	run       uuid.UUID
	now       time.Time
	from, to  time.Time // of the slots that are looked at
	before    time.Time // the last try of those that are settled
	meters    map[string]schema.Meter
	questions int
	repairs   int
	all       []schema.Comparison
	invoices  *invoices

	outcomes []schema.Outcome // of the organization at hand
}

// account is what Stripe was told for one of its customers, or subscription items, of a meter.
type account struct {
	meter, customer, item string
	slots                 []queries.Reported // ordered by hour
}

// organization learns which periods of an organization's are over, and compares what Stripe was
// told of its usage.
func (l *look) organization(ctx context.Context, o schema.Organization) error {
	id, since := o.ID, l.now.Add(-invoicesFor)
	slots, err := l.cfg.Queries.Reported(ctx, queries.ReportedParams{
		Organization: id, Mode: l.cfg.Mode, From: earlier(l.from, since), To: l.to,
		Settled: l.before,
	})
	if err != nil || len(slots) == 0 {
		return err
	}
	if err := l.learn(ctx, o, slots, since); err != nil {
		return err
	}
	slots = slices.DeleteFunc(slots, func(s queries.Reported) bool {
		return s.Slot.Start.Before(l.from)
	})
	periods, err := l.cfg.Queries.StripePeriods(ctx, id)
	if err != nil {
		return err
	}
	at := len(l.all)
	l.outcomes = nil
	for _, t := range accounts(slots, periods, l.cfg.Mode) {
		compare := l.summed
		if l.cfg.Mode == schema.UsageRecord {
			compare = l.recorded
		}
		if err := compare(ctx, id, t); err != nil {
			if !ofStripe(err) {
				return err
			}
			l.skip(id, t, stretch{}, err.Error())
		}
	}
	return l.keep(ctx, l.all[at:])
}

// learn takes over what invoices tell of an organization's periods: those of its customer, and of
// whom Stripe was told of its hours as since a time.
func (l *look) learn(
	ctx context.Context, o schema.Organization, slots []queries.Reported, since time.Time,
) error {
	var customers []string
	for _, s := range slots {
		if !s.Slot.Start.Before(since) && !slices.Contains(customers, s.Customer) {
			customers = append(customers, s.Customer)
		}
	}
	if len(customers) > 0 && !slices.Contains(customers, o.Stripe.Customer) {
		customers = append(customers, o.Stripe.Customer)
	}
	for _, customer := range customers {
		if err := l.invoices.customer(ctx, customer, since); err != nil {
			return err
		}
	}
	return nil
}

// keep writes what came of an organization, repairs first: a comparison that tells of one is true.
func (l *look) keep(ctx context.Context, all []schema.Comparison) error {
	if len(l.outcomes) > 0 {
		if err := l.cfg.Queries.InsertOutcomes(ctx, l.outcomes); err != nil {
			return err
		}
	}
	var kept []schema.Comparison
	for _, c := range all {
		if !c.Skipped {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return l.cfg.Queries.InsertComparisons(ctx, kept)
}

// summed compares what Stripe sums up of a customer's meter, each run of settled hours by itself.
func (l *look) summed(ctx context.Context, organization uuid.UUID, t account) error {
	id := l.meters[t.meter].StripeID
	if id == "" {
		if err := l.question(ctx, askMeters, func() (err error) {
			id, err = l.cfg.Stripe.MeterID(ctx, t.meter)
			return err
		}); err != nil {
			return err
		}
	}
	for _, s := range settledParts(t.slots, l.to) {
		if err := l.whole(ctx, sums{l, organization, t, id}, s); err != nil {
			if !ofStripe(err) {
				return err
			}
			l.skip(organization, t, s, err.Error())
		}
	}
	return nil
}

// whole compares a span's sum and its last hours, and all of it by days and hours when the sum
// differs.
func (l *look) whole(ctx context.Context, of sums, s stretch) error {
	last := stretch{latestOf(s.from, s.to.Add(-hoursAlone*time.Hour)), s.to}
	before := stretch{s.from, last.from}
	hours, err := of.ask(ctx, last, ByHour)
	if err != nil {
		return err
	}
	units := hours.sum()
	if before.from.Before(before.to) {
		rest, err := of.ask(ctx, before, Whole)
		if err != nil {
			return err
		}
		units += rest.sum()
	}
	found := of.compare(s, units)
	if found.Difference() == 0 && !of.differ(last, hours) {
		l.all = append(l.all, found)
		return nil
	}
	same, err := l.unchanged(ctx, of, s)
	if err != nil {
		return err
	}
	if !same {
		l.skip(of.organization, of.account, s, "Stripe was told more while it was asked: look again")
		return nil
	}
	at, repaired := len(l.all), l.repairs
	l.all = append(l.all, found)
	if found.Difference() == 0 {
		of.byHour(last, hours, false)
		return nil
	}
	err = of.days(ctx, before)
	of.byHour(last, hours, true)
	if err != nil && ofStripe(err) {
		l.all[at].Detail = "where it differs could not be asked: " + err.Error()
		err = nil
	}
	l.all[at].Repaired = uint32(l.repairs - repaired) //nolint:gosec // at most repairsMax
	return err
}

// unchanged reports whether what Stripe was told of a span is still what was read before: a slot
// that is told again meanwhile would look like a difference.
func (l *look) unchanged(ctx context.Context, of sums, s stretch) (bool, error) {
	now, err := l.cfg.Queries.Reported(ctx, queries.ReportedParams{
		Organization: of.organization, Meter: of.meter, Mode: l.cfg.Mode,
		From: s.from, To: s.to, Settled: l.before,
	})
	if err != nil {
		return false, err
	}
	now = slices.DeleteFunc(now, func(r queries.Reported) bool {
		return r.Customer != of.customer || r.Item != of.item && of.item != ""
	})
	return slices.EqualFunc(of.within(s), now, func(a, b queries.Reported) bool {
		return a.Slot.Start.Equal(b.Slot.Start) && a.Latest == b.Latest && a.Told == b.Told &&
			a.Settled == b.Settled
	}), nil
}

// recorded compares what Stripe has of a subscription item's usage records in the period that goes
// on: all of it, for Stripe tells of no part.
func (l *look) recorded(ctx context.Context, organization uuid.UUID, t account) error {
	var periods []Bucket
	if err := l.question(ctx, askSums, func() (err error) {
		periods, err = l.cfg.Stripe.Records(ctx, t.item)
		return err
	}); err != nil {
		return err
	}
	if len(periods) == 0 {
		l.skip(organization, t, stretch{}, "Stripe tells of no period of "+t.item)
		return nil
	}
	s := stretch{periods[0].From, periods[0].To}
	if s.to.IsZero() {
		s.to = l.to.Truncate(time.Hour)
	}
	if s.from.IsZero() && len(periods) == 1 { // the first: all that was told is of it
		s.from = t.slots[0].Slot.Start
	}
	of := sums{l, organization, t, ""}
	slots := of.within(s)
	switch {
	case s.from.IsZero():
		l.skip(organization, t, s, "Stripe does not tell when the period of "+t.item+" began")
		return nil
	case len(slots) == 0:
		return nil
	case slices.ContainsFunc(slots, func(r queries.Reported) bool { return !r.Settled }):
		l.skip(organization, t, s, "Stripe was told of it in the last 20 minutes: look again later")
		return nil
	}
	found := of.compare(s, periods[0].Units)
	if found.Difference() != 0 {
		same, err := l.unchanged(ctx, of, s)
		if err != nil {
			return err
		}
		if !same {
			l.skip(organization, t, s, "Stripe was told more while it was asked: look again")
			return nil
		}
		found.Repaired, found.Detail = l.repair(slots, found)
	}
	l.all = append(l.all, found)
	return nil
}

// repair has slots told again that Stripe has otherwise than it was told, all of them or none, and
// says what is left to do.
func (l *look) repair(slots []queries.Reported, c schema.Comparison) (uint32, string) {
	oldest := l.now.Add(repairBefore - sendable)
	young, _ := slices.BinarySearchFunc(slots, oldest, slotStarts)
	told := slots[young:]
	switch {
	case l.cfg.Mode == schema.Raw:
		return 0, "what is sent in mode raw adds up and is not sent again: correct it at Stripe"
	case len(slots) == 0:
		return 0, "Stripe was told nothing of this hour by Meterhouse: find out who else reports"
	case len(told) == 0:
		return 0, "too old to be told again: correct it at Stripe"
	case l.repairs+len(told) > repairsMax:
		return 0, "told again by a later reconciliation: this one has repaired enough"
	}
	for _, s := range told {
		l.outcomes = append(l.outcomes, schema.Outcome{
			Slot: s.Slot, Revision: s.Latest, Verdict: schema.Differs,
			At: l.now, Writer: l.cfg.Writer,
			Detail: fmt.Sprintf("Stripe has %d of %d units that it was told from %s to %s",
				c.Stripe, c.Reported, c.From.Format(slotMinute), c.To.Format(slotMinute)),
		})
	}
	l.repairs += len(told)
	return uint32(len(told)), "told again by one of the next passes" //nolint:gosec // repairsMax
}

const slotMinute = "2006-01-02T15:04"

// question asks Stripe, as often as one reconciliation may.
func (l *look) question(ctx context.Context, what question, call func() error) error {
	if l.questions >= questionsMax {
		return errEnough
	}
	l.questions++
	return l.ask(ctx, what, call)
}

// skip notes that something was not compared.
func (l *look) skip(organization uuid.UUID, t account, s stretch, why string) {
	if s.from.IsZero() && len(t.slots) > 0 {
		s = stretch{t.slots[0].Slot.Start, l.to}
	}
	l.all = append(l.all, schema.Comparison{
		Organization: organization, Meter: t.meter, From: s.from, To: s.to,
		At: l.now, Run: l.run, Skipped: true, Detail: why,
	})
}

// tell shows what was found to who watches.
func (l *look) tell() {
	s := summarize(l.all)
	l.metrics.reconciled(l.now, s.equal, s.differ, s.skipped)
	log := l.cfg.Logger.Info
	if s.differ > 0 || s.skipped > 0 {
		log = l.cfg.Logger.Warn
	}
	log("what Stripe has was compared with what it was told", "equal", s.equal,
		"differ", s.differ, "skipped", s.skipped, "units", s.units, "repaired", s.repaired,
		"questions", l.questions)
}
