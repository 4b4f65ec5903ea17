package billing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// errEnough is why Stripe is not asked more in this reconciliation.
var errEnough = asked{errors.New("left for another reconciliation: this one has asked enough")}

// stretch is a time that is compared.
type stretch struct{ from, to time.Time }

// accounts splits an organization's slots by meter and customer, or by subscription item. Those of
// closed periods are left out: their invoices are what counts.
func accounts(
	slots []queries.Reported, periods []schema.StripePeriod, mode schema.ReportMode,
) []account {
	var all []account
	closed := map[string]time.Time{}
	for _, s := range slots {
		meter := s.Slot.Meter
		if _, known := closed[meter]; !known {
			closed[meter] = closedUntil(periods, meter)
		}
		if s.Slot.Start.Before(closed[meter]) {
			continue
		}
		of := account{meter: s.Slot.Meter, customer: s.Customer}
		if mode == schema.UsageRecord {
			of.item = s.Item
		}
		i := slices.IndexFunc(all, func(t account) bool {
			return t.meter == of.meter && t.customer == of.customer && t.item == of.item
		})
		if i < 0 {
			i, all = len(all), append(all, of)
		}
		all[i].slots = append(all[i].slots, s)
	}
	return all
}

// settledParts returns the time from the first slot on without the hours of slots that are not
// settled, as far as there are slots in it.
func settledParts(slots []queries.Reported, to time.Time) []stretch {
	var all []stretch
	var from time.Time // of the span that goes on; zero: there is none
	end := func(at time.Time) {
		if !from.IsZero() && from.Before(at) {
			all = append(all, stretch{from, at})
		}
		from = time.Time{}
	}
	for _, s := range slots {
		switch {
		case !s.Settled:
			end(s.Slot.Start)
		case from.IsZero():
			from = s.Slot.Start
		}
	}
	end(to)
	return all
}

// sums compares what Stripe sums up for one customer and meter.
type sums struct {
	*look
	organization uuid.UUID
	account
	meterID string
}

// buckets are Stripe's sums by the Unix time of their start.
type buckets map[int64]int64

func (b buckets) sum() (units int64) {
	for _, u := range b {
		units += u
	}
	return units
}

// ask returns what Stripe has, whole or by the day or hour.
func (of sums) ask(ctx context.Context, s stretch, by Grouping) (buckets, error) {
	var all []Bucket
	err := of.question(ctx, askSums, func() (err error) {
		all, err = of.cfg.Stripe.Summaries(ctx, SummaryParams{
			Meter: of.meterID, Customer: of.customer, From: s.from, To: s.to, By: by,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	length := time.Hour
	if by == ByDay {
		length = day
	}
	units := buckets{}
	for _, b := range all {
		units[b.From.Truncate(length).Unix()] += b.Units
	}
	return units, nil
}

// within returns the slots whose hours start in a span.
func (of sums) within(s stretch) []queries.Reported {
	i, _ := slices.BinarySearchFunc(of.slots, s.from, slotStarts)
	j, _ := slices.BinarySearchFunc(of.slots, s.to, slotStarts)
	return of.slots[i:max(i, j)]
}

func slotStarts(r queries.Reported, at time.Time) int { return r.Slot.Start.Compare(at) }

// compare returns a comparison of a span with what Stripe has of it.
func (of sums) compare(s stretch, units int64) schema.Comparison {
	c := schema.Comparison{
		Organization: of.organization, Meter: of.meter, From: s.from, To: s.to,
		Stripe: units, At: of.now, Run: of.run,
	}
	for _, r := range of.within(s) {
		c.Ledger += r.Ledger
		c.Reported += r.Told
	}
	return c
}

// days compares the whole days of a span that differs, and by the hour those that differ and what
// is at its ends.
func (of sums) days(ctx context.Context, s stretch) error {
	if !s.from.Before(s.to) {
		return nil
	}
	inner := stretch{s.from.Add(day - 1).Truncate(day), s.to.Truncate(day)}
	if !inner.from.Before(inner.to) {
		return of.hours(ctx, s)
	}
	units, err := of.ask(ctx, inner, ByDay)
	if err != nil {
		return err
	}
	if err := of.hours(ctx, stretch{s.from, inner.from}); err != nil {
		return err
	}
	for at := inner.from; at.Before(inner.to); at = at.Add(day) {
		one := stretch{at, at.Add(day)}
		found := of.compare(one, units[at.Unix()])
		if len(of.within(one)) == 0 && found.Stripe == 0 {
			continue
		}
		found.Part = true
		i, before := len(of.all), of.repairs
		of.all = append(of.all, found)
		if found.Difference() == 0 {
			continue
		}
		if err := of.hours(ctx, one); err != nil {
			return err
		}
		of.all[i].Repaired = uint32(of.repairs - before) //nolint:gosec // at most repairsMax
	}
	return of.hours(ctx, stretch{inner.to, s.to})
}

// hours compares the hours of a span, and has those told again that differ.
func (of sums) hours(ctx context.Context, s stretch) error {
	if !s.from.Before(s.to) {
		return nil
	}
	units, err := of.ask(ctx, s, ByHour)
	if err == nil {
		of.byHour(s, units, true)
	}
	return err
}

// differ reports whether an hour of a span does.
func (of sums) differ(s stretch, units buckets) bool {
	for at := s.from; at.Before(s.to); at = at.Add(time.Hour) {
		if of.compare(stretch{at, at.Add(time.Hour)}, units[at.Unix()]).Difference() != 0 {
			return true
		}
	}
	return false
}

// byHour compares the hours of a span, of which Stripe has so many units each, and has those told
// again that differ. Parts of a longer comparison are kept with it, and hours by themselves where
// they differ, as its sum says nothing of them.
func (of sums) byHour(s stretch, units buckets, part bool) {
	for at := s.from; at.Before(s.to); at = at.Add(time.Hour) {
		hour := stretch{at, at.Add(time.Hour)}
		slots := of.within(hour)
		found := of.compare(hour, units[at.Unix()])
		if len(slots) == 0 && found.Stripe == 0 {
			continue
		}
		found.Part = part
		if found.Difference() != 0 {
			found.Repaired, found.Detail = of.repair(slots, found)
		} else if !part {
			continue
		}
		of.all = append(of.all, found)
	}
}

// tally is what a reconciliation comes to: of whole ranges, not of their parts.
type tally struct {
	equal, differ, skipped int
	units                  uint64 // that differ, either way
	repaired               uint64
}

func summarize(all []schema.Comparison) (t tally) {
	for _, c := range all {
		switch {
		case c.Part:
			continue
		case c.Skipped:
			t.skipped++
		case c.Difference() == 0:
			t.equal++
		default:
			t.differ++
			t.units += uint64(max(c.Difference(), -c.Difference())) //nolint:gosec // not negative
			t.repaired += uint64(c.Repaired)
		}
	}
	return t
}
