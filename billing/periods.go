package billing

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// periodLead is how far a period may end after its invoice was made: clocks differ. The line of a
// period that was open then, as the invoice of a new subscription may have, closes nothing, however
// late the invoice is heard of.
const periodLead = 5 * time.Minute

// counted names what a line of an invoice counts for.
type counted struct {
	organization uuid.UUID
	meter        string
}

// metersOf returns the meters of an organization, in the order in which they count.
func metersOf(m schema.StripeMapping) []schema.MeterMapping {
	all := slices.Clone(m.Meters)
	if m.Meter != "" {
		all = append(all, schema.MeterMapping{Meter: m.Meter, SubscriptionItem: m.SubscriptionItem})
	}
	return all
}

// countedBy returns whose usage of which meter a line is, among the organizations of its
// customer: by the subscription item, else by the meter of its price. ids has Stripe's ids of
// meters by name.
func countedBy(
	line InvoiceLine, customers []schema.Organization, ids map[string]string,
) (counted, bool) {
	for _, o := range customers {
		for _, m := range metersOf(o.Stripe) {
			if m.SubscriptionItem != "" && m.SubscriptionItem == line.SubscriptionItem {
				return counted{o.ID, m.Meter}, true
			}
		}
	}
	for _, o := range customers {
		for _, m := range metersOf(o.Stripe) {
			if line.Meter != "" && ids[m.Meter] == line.Meter {
				return counted{o.ID, m.Meter}, true
			}
		}
	}
	return counted{}, false
}

// periodsParams is an invoice and what is needed to read it.
type periodsParams struct {
	Invoice   Invoice
	Finalized bool
	Customers []schema.Organization // of the invoice's customer
	IDs       map[string]string     // Stripe's ids of meters, by name
	At        time.Time             // when it was heard of
}

// periodsOf returns the periods that an invoice tells of, with the sums of their lines, ordered by
// organization, meter and start; and how many lines are of no organization's meter, or of a period
// that is not over.
func periodsOf(p periodsParams) (periods []schema.StripePeriod, foreign, early int) {
	type key struct {
		of         counted
		start, end int64
	}
	at := map[key]int{}
	made := p.At
	if c := p.Invoice.Created; !c.IsZero() && c.Before(made) {
		made = c
	}
	for _, line := range p.Invoice.Lines {
		of, ok := countedBy(line, p.Customers, p.IDs)
		if !ok {
			foreign++
			continue
		}
		if line.End.After(made.Add(periodLead)) || !line.Start.Before(line.End) ||
			line.Start.Unix() <= 0 { // not told: the database's 1970 would have it close everything
			early++
			continue
		}
		k := key{of, line.Start.Unix(), line.End.Unix()}
		i, ok := at[k]
		if !ok {
			i = len(periods)
			at[k] = i
			periods = append(periods, schema.StripePeriod{
				Organization: of.organization, Meter: of.meter,
				Start: line.Start.UTC(), End: line.End.UTC(),
				Finalized: p.Finalized, Invoice: p.Invoice.ID, SeenAt: p.At,
			})
		}
		if p.Finalized {
			periods[i].InvoicedUnits += line.Quantity
		}
	}
	slices.SortFunc(periods, func(a, b schema.StripePeriod) int {
		return cmp.Or(
			slices.Compare(a.Organization[:], b.Organization[:]),
			cmp.Compare(a.Meter, b.Meter), a.Start.Compare(b.Start),
		)
	})
	return periods, foreign, early
}

// missingPeriods returns the periods of an organization's other meters that a finalized invoice
// closes without a line for them, as may be when their usage is zero or below: nothing was
// invoiced. That the invoice is theirs is taken from what is known of the organization: its draft
// had a line for the meter, or the invoice of the period before had, beside one for a meter that
// this one has. A meter of another subscription, which ends at another time, is left alone.
func missingPeriods(has, known []schema.StripePeriod) []schema.StripePeriod {
	var missing []schema.StripePeriod
	listed := func(meter string, start time.Time) bool {
		same := func(p schema.StripePeriod) bool {
			return p.Meter == meter && p.Start.Equal(start)
		}
		return slices.ContainsFunc(has, same) || slices.ContainsFunc(missing, same)
	}
	add := func(meter string, like schema.StripePeriod) {
		if !listed(meter, like.Start) {
			like.Meter, like.InvoicedUnits = meter, 0
			missing = append(missing, like)
		}
	}
	for _, one := range has {
		var before string // the invoice that closed the meter's period before
		for _, k := range known {
			if k.Meter == one.Meter && k.End.Equal(one.Start) {
				before = k.Invoice
			}
		}
		for _, k := range known {
			if before != "" && k.Invoice == before && k.End.Equal(one.Start) {
				add(k.Meter, one)
			}
		}
	}
	return missing
}

// draftedPeriods returns the periods that an invoice's draft had lines for and the invoice has not.
func draftedPeriods(invoice Invoice, at time.Time, has, known []schema.StripePeriod,
) []schema.StripePeriod {
	var missing []schema.StripePeriod
	for _, k := range known {
		if k.Invoice != invoice.ID || slices.ContainsFunc(has, func(p schema.StripePeriod) bool {
			return p.Meter == k.Meter && p.Start.Equal(k.Start)
		}) {
			continue
		}
		k.Finalized, k.InvoicedUnits, k.SeenAt = true, 0, at
		missing = append(missing, k)
	}
	return missing
}

// withoutLine returns an organization's periods that a finalized invoice closes without a line.
func withoutLine(
	invoice Invoice, organization uuid.UUID, all, known []schema.StripePeriod, at time.Time,
) []schema.StripePeriod {
	var has []schema.StripePeriod
	for _, p := range all {
		if p.Organization == organization {
			has = append(has, p)
		}
	}
	drafted := draftedPeriods(invoice, at, has, known)
	return append(drafted, missingPeriods(append(has, drafted...), known)...)
}
