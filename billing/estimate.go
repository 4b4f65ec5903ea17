package billing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// What an estimate looks at.
const (
	estimateRecent = 7 * 24 * time.Hour   // how far back usage shows the present rate, at most
	estimateLeast  = time.Hour            // of a period has to be over before it is projected
	estimateMax    = 400 * 24 * time.Hour // the longest period
)

// Where the period of an estimate comes from.
const (
	fromRequest  = "request"
	fromStripe   = "stripe"
	fromCalendar = "calendar_month"
)

// Estimate returns what an organization's period comes to: what the ledger has of it, the running
// hour included, and on top, for the time that is left, usage as in the last seven days, or in the
// period so far when that is less. Within the period's first hour nothing is projected. Without a
// period in the request it is the one after the newest of which Stripe sent an invoice, a month
// long, or else the calendar month, UTC. Invalid when a period is not made of whole hours.
func (r *Reporter) Estimate(
	ctx context.Context, p schema.EstimateParams,
) (schema.Estimate, error) {
	none := schema.Estimate{}
	now := r.now()
	e := schema.Estimate{
		Organization: p.Organization, From: p.From.UTC(), To: p.To.UTC(), Source: fromRequest,
	}
	if p.From.IsZero() && p.To.IsZero() {
		periods, err := r.cfg.Queries.StripePeriods(ctx, p.Organization)
		if err != nil {
			return none, err
		}
		e.From, e.To, e.Source = openPeriod(periods, now)
	} else if err := checkPeriod(p); err != nil {
		return none, err
	}
	// An hour belongs to the period that it starts in.
	from, end := wholeHour(e.From), wholeHour(e.To)
	e.At = latestOf(from, earliestOf(end, now))
	e.RecentFrom = latestOf(from, e.At.Truncate(time.Hour).Add(-estimateRecent))
	to := wholeHour(e.At)
	if !from.Before(to) {
		return e, nil
	}
	rows, err := r.cfg.Queries.EstimateUsage(ctx, queries.EstimateParams{
		Organization: p.Organization, From: from, To: to, Recent: e.RecentFrom,
	})
	if err != nil {
		return none, err
	}
	return e, project(&e, end.Sub(e.At), rows)
}

// checkPeriod returns what is wrong with the period of a request.
func checkPeriod(p schema.EstimateParams) error {
	switch {
	case p.From.IsZero():
		return schema.Errorf(schema.Invalid, "from", "is missing: name both ends or neither")
	case p.To.IsZero():
		return schema.Errorf(schema.Invalid, "to", "is missing: name both ends or neither")
	case !schema.InstantValid(p.From):
		return schema.Errorf(schema.Invalid, "from", "must be between 1970 and 2199")
	case !schema.InstantValid(p.To):
		return schema.Errorf(schema.Invalid, "to", "must be between 1970 and 2199")
	case !p.From.Before(p.To):
		return schema.Errorf(schema.Invalid, "to", "must be after from")
	case p.To.Sub(p.From) > estimateMax:
		return schema.Errorf(schema.Invalid, "to", "must be at most 400 days after from")
	case !p.From.Equal(p.From.Truncate(time.Hour)):
		return schema.Errorf(schema.Invalid, "from", "must be a whole hour")
	case !p.To.Equal(p.To.Truncate(time.Hour)):
		return schema.Errorf(schema.Invalid, "to", "must be a whole hour")
	}
	return nil
}

// openPeriod returns the period that now is in: after the newest that Stripe told of, a month long
// from the day of the month it is anchored to, or else the calendar month.
func openPeriod(periods []schema.StripePeriod, now time.Time) (from, to time.Time, source string) {
	if len(periods) == 0 {
		from = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0), fromCalendar
	}
	newest := slices.MaxFunc(periods, func(a, b schema.StripePeriod) int {
		return a.End.Compare(b.End)
	})
	from, to = newest.Start.UTC(), newest.End.UTC()
	day := to.Day()
	if to.AddDate(0, 0, 1).Day() == 1 { // of a short month the start tells the day that was meant
		day = max(day, from.Day())
	}
	for !to.After(now) { // also over periods that nobody told of
		from, to = to, monthAfter(to, day)
	}
	return from, to, fromStripe
}

// monthAfter returns the same time of a day of the next month, its last where it is shorter.
func monthAfter(t time.Time, day int) time.Time {
	first := time.Date(t.Year(), t.Month()+1, 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, last)-1)
}

var errEstimate = errors.New("estimate: a projection is out of range")

// project fills in what was used, and what it comes to with the rest of the period. Every part is
// projected and rounded by itself, once, half to even at its last decimal; what is above it is the
// sum of its parts.
func project(e *schema.Estimate, rest time.Duration, rows []queries.EstimateRow) error {
	left, seen := int64(rest), int64(e.At.Sub(e.RecentFrom))
	if seen < int64(estimateLeast) {
		left, seen = 0, 1
	}
	meter := -1
	var units, projected schema.Quantity
	for _, row := range rows {
		if meter < 0 || e.Meters[meter].Meter != row.Meter {
			meter++
			e.Meters = append(e.Meters, schema.MeterEstimate{Meter: row.Meter, Unit: row.Unit})
			units, projected = schema.Quantity{}, schema.Quantity{}
		}
		moreQuantity, ok := row.RecentQuantity.Share(left, seen)
		moreCost, fits := row.RecentCost.Share(left, seen)
		if !ok || !fits {
			return errEstimate
		}
		model := schema.ModelEstimate{
			Model: row.Model, UsageType: row.UsageType,
			Quantity: row.Quantity, Projected: row.Quantity.Add(moreQuantity),
			CostUSD: row.BilledCost, ProjectedUSD: row.BilledCost.Add(moreCost),
			Unpriced: row.Unpriced,
		}
		m := &e.Meters[meter]
		m.Models = append(m.Models, model)
		if row.Unit == schema.MicroUSD {
			units, projected = units.Add(model.CostUSD.Micro()), projected.Add(model.ProjectedUSD.Micro())
		} else {
			units, projected = units.Add(model.Quantity), projected.Add(model.Projected)
		}
		m.Units, m.Projected = units.String(), projected.String()
		m.CostUSD = m.CostUSD.Add(model.CostUSD)
		e.CostUSD = e.CostUSD.Add(model.CostUSD)
		e.ProjectedUSD = e.ProjectedUSD.Add(model.ProjectedUSD)
		e.Unpriced += row.Unpriced
	}
	return nil
}

// wholeHour returns the first whole hour that is not before t.
func wholeHour(t time.Time) time.Time {
	return t.Add(time.Hour - 1).Truncate(time.Hour)
}

func earliestOf(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
