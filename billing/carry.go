package billing

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

const (
	carryLook = time.Hour            // between two looks of a Reporter at what has to be carried
	carryFrom = 400 * 24 * time.Hour // what is older is left alone
	carryMax  = 1000                 // of one pass
)

// carry moves what closed periods lack, and hours that Stripe takes no more, to hours that are
// open.
func (p *pass) carry(ctx context.Context) error {
	now := p.now()
	if now.Sub(p.carried) < min(carryLook, p.cfg.CarryEvery) && !p.carried.After(now) {
		return nil
	}
	due := queries.DueParams{
		Mode: p.cfg.Mode, From: now.Add(-carryFrom).Truncate(schema.SlotLength),
		Oldest: oldestSendable(now), Carried: now.Add(-p.cfg.CarryEvery), Limit: carryMax,
		CreditLimit: uint64(p.cfg.CreditLimit),
	}
	if err := p.withheld(ctx, due); err != nil {
		return err
	}
	dues, err := p.cfg.Queries.DueCarries(ctx, due)
	if err != nil {
		return err
	}
	if len(dues) > 0 {
		targets, err := p.targets(ctx)
		if err != nil {
			return err
		}
		for _, d := range dues {
			t := targets.of(schema.Slot{Organization: d.Organization, Meter: d.Meter})
			if t.customer == "" || t.shared {
				p.alert("carry", schema.Slot{
					Organization: d.Organization, Meter: d.Meter, Start: d.From,
				}, "its organization's meter has no customer of its own in the catalog: "+
					strconv.FormatInt(d.Units, 10)+" units have to be carried and are not")
				continue
			}
			if err := p.carryOne(ctx, d, now); err != nil {
				return err
			}
		}
	}
	p.carried = now
	return nil
}

// withheld says what is not taken off without somebody's consent.
func (p *pass) withheld(ctx context.Context, due queries.DueParams) error {
	if due.CreditLimit == 0 {
		return nil
	}
	due.Withheld, due.Limit = true, 1
	all, err := p.cfg.Queries.DueCarries(ctx, due)
	for _, d := range all {
		p.alert("credit", schema.Slot{
			Organization: d.Organization, Meter: d.Meter, Start: d.From,
		}, strconv.FormatInt(d.Units, 10)+" units would be taken off, more than the credit limit "+
			"of what was billed: if the catalog's meters were changed, set stripe.since to when; "+
			"if it is right, run `meterhouse report --once --credit-limit 0`")
	}
	return err
}

// carryOne moves what is due from one origin to the newest sealed hour that is open for it, as far
// as that hour takes it. The rest, and what has no such hour yet, stays due.
func (p *pass) carryOne(ctx context.Context, d queries.Due, now time.Time) error {
	to := schema.Slot{
		Organization: d.Organization, Meter: d.Meter,
		Start: now.Add(-p.cfg.SealDelay).Truncate(schema.SlotLength).Add(-schema.SlotLength),
	}
	periods, err := p.cfg.Queries.StripePeriods(ctx, d.Organization)
	if err != nil {
		return err
	}
	if to.Start.Before(closedUntil(periods, d.Meter)) || !to.Start.After(d.From) {
		return nil
	}
	want, err := p.wanted(ctx, to)
	if err != nil {
		return err
	}
	units := room(want, d.Units, p.cfg.Mode)
	if units == 0 {
		return nil
	}
	c := schema.Carry{
		Organization: d.Organization, Meter: d.Meter, From: d.From, Number: d.Number,
		ID: uuid.New(), To: to.Start, Units: units, Reason: "Stripe takes no more of the hour",
		CreatedAt: p.now(), Writer: p.cfg.Writer,
	}
	if d.Period {
		c.Reason = "the period is invoiced"
	}
	return p.claimCarry(ctx, c)
}

// claimCarry writes a carry unless another writer was first, who saw the same to be carried.
func (p *pass) claimCarry(ctx context.Context, c schema.Carry) error {
	if err := p.step(stepCarry); err != nil {
		return err
	}
	claiming, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	// What was due may have been read a while ago. Its number is still free if nobody carried from
	// there since, and then what was due still is.
	taken, err := p.cfg.Queries.SlotCarries(claiming, schema.Slot{
		Organization: c.Organization, Meter: c.Meter, Start: c.From,
	})
	if err != nil {
		return err
	}
	for _, t := range taken {
		if t.From.Equal(c.From) && t.Number >= c.Number {
			return nil
		}
	}
	written := p.cfg.Queries.InsertCarry(claiming, c, claimTimeout)
	if err := p.step(stepCarried); err != nil {
		return err
	}
	won, err := p.cfg.Queries.CarryWritten(ctx, c)
	switch {
	case err != nil:
		return err
	case !won:
		return written // nil: another writer was first
	}
	p.metrics.moved(c.Units)
	p.cfg.Logger.Info("carried", "organization", c.Organization, "meter", c.Meter,
		"from", c.From.Format(time.RFC3339), "to", c.To.Format(time.RFC3339), "units", c.Units,
		"reason", c.Reason)
	return nil
}

// closedUntil returns the end of the last period of a meter that is invoiced.
func closedUntil(periods []schema.StripePeriod, meter string) time.Time {
	var end time.Time
	for _, p := range periods {
		if p.Finalized && p.Meter == meter && p.End.After(end) {
			end = p.End
		}
	}
	return end
}

// wanted returns what Stripe has to have of a slot.
func (p *pass) wanted(ctx context.Context, s schema.Slot) (int64, error) {
	all, err := p.cfg.Queries.SlotStatuses(ctx, queries.SlotsParams{
		Organization: s.Organization, From: s.Start, To: s.End(), Limit: 10_000,
	})
	if err != nil {
		return 0, err
	}
	for _, status := range all {
		if status.Slot.Meter == s.Meter {
			return status.Own + status.Carried, nil
		}
	}
	return 0, nil
}

// room returns how much of units a slot takes that has to have so many already: Stripe keeps
// fifteen digits, and usage records are not negative.
func room(want, units int64, mode schema.ReportMode) int64 {
	low := int64(-schema.SlotUnitsMax)
	if mode == schema.UsageRecord {
		low = 0
	}
	if units < 0 {
		return -min(-max(units, -2*schema.SlotUnitsMax), max(want-low, 0))
	}
	return min(units, max(schema.SlotUnitsMax-want, 0))
}
