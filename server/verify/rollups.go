package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// place is where a rollup may differ.
type place struct {
	table        string
	organization uuid.UUID
	period       time.Time
	usageType    string
}

func placeOf(d queries.Difference) place {
	return place{d.Table, d.Organization, d.Period.UTC(), d.UsageType}
}

// rollups returns where a rollup differs, for certain: what still differs when looked at again
// is looked at while no node inserts.
func (v *Verifier) rollups(
	ctx context.Context, p queries.VerifyParams,
) ([]Finding, []string, error) {
	found, err := v.cfg.Queries.VerifyRollups(ctx, p)
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	if err := pause(ctx, v.cfg.Settle); err != nil {
		return nil, nil, err
	}
	p.Days = daysOf(found)
	before := found
	began := time.Now()
	if found, err = v.cfg.Queries.VerifyRollups(ctx, p); err != nil {
		return nil, nil, err
	}
	took := time.Since(began)
	if found = among(found, before); len(found) == 0 {
		return nil, nil, nil
	}
	var sure []queries.Difference
	if took > v.cfg.HoldLook {
		// Too much for a hold: what did not move is believed, and only what did is held.
		sure, found = split(found, before)
		if len(found) == 0 {
			return textsOf(sure), nil, nil
		}
	}
	p.Days = daysOf(found)
	held, err := v.underHold(ctx, p, found)
	if h := (*holdError)(nil); errors.As(err, &h) {
		settled, unsettled, err := v.byLooks(ctx, p, found)
		if err != nil {
			return nil, nil, err
		}
		findings := textsOf(append(sure, settled...))
		for _, d := range unsettled {
			f := textOfDifference(d)
			f.Kind, f.Text = Unproved, f.Text+"; this may be inserts that are under way"
			findings = append(findings, f)
		}
		return findings, []string{"no hold: " + h.Error() + "; looked again instead"}, nil
	}
	return textsOf(append(sure, held...)), nil, err
}

// holdError is why no hold could be had.
type holdError struct{ error }

// verifyReason is what a hold of ours says; it lasts, if nobody ends it, for holdLasts.
const (
	verifyReason = "verify"
	holdLasts    = 30 * time.Second
)

// underHold looks while no node inserts.
func (v *Verifier) underHold(
	ctx context.Context, p queries.VerifyParams, before []queries.Difference,
) (found []queries.Difference, err error) {
	err = v.hold(ctx, verifyReason, func(ctx context.Context) (err error) {
		found, err = v.cfg.Queries.VerifyRollups(ctx, p)
		return err
	})
	return among(found, before), err
}

// Hold calls do while no node inserts, for at most half a minute, of which others are told the reason.
// Its error is do's, or why no hold could be had.
func (v *Verifier) Hold(
	ctx context.Context, reason string, do func(context.Context) error,
) error {
	return v.hold(ctx, reason, do)
}

// hold calls do while no node inserts. Its error is a *holdError when none can be had, or when it
// ended before do did.
func (v *Verifier) hold(
	ctx context.Context, reason string, do func(context.Context) error,
) (err error) {
	q := v.cfg.Queries
	h, err := q.PlaceHold(ctx, queries.Hold{Reason: reason}, v.cfg.HoldWait+holdLasts)
	defer func() {
		if h.ID == uuid.Nil {
			return
		}
		// Also one whose insert failed: it may be there, and would keep everybody from a hold.
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, q.ReleaseHold(releasing, h))
	}()
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, v.cfg.HoldWait)
	defer cancel()
	switch err := q.AwaitHold(waiting, h); {
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() != nil:
		return &holdError{fmt.Errorf("a node did not keep the hold within %s", v.cfg.HoldWait)}
	case errors.Is(err, queries.ErrNodeAbsent):
		return &holdError{err}
	case err != nil:
		return err
	}
	held, cancel := context.WithTimeout(ctx, holdLasts)
	defer cancel()
	if err := do(held); err != nil {
		if held.Err() != nil && ctx.Err() == nil {
			return &holdError{fmt.Errorf("it took longer than %s", holdLasts)}
		}
		return err
	}
	return nil
}

// looksWithoutHold is how often what differs is looked at when there is no hold to be had.
const looksWithoutHold = 8

// byLooks tells a lasting difference from inserts that are under way without a hold: the one comes
// back with the same value, the others never. What differed in every look by another value each
// time is unsettled.
func (v *Verifier) byLooks(
	ctx context.Context, p queries.VerifyParams, before []queries.Difference,
) (settled, unsettled []queries.Difference, err error) {
	seen := make(map[place]map[queries.Sums]int)
	for range looksWithoutHold {
		if err := pause(ctx, v.cfg.Settle); err != nil {
			return nil, nil, err
		}
		found, err := v.cfg.Queries.VerifyRollups(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		before = among(found, before)
		for _, d := range before {
			if seen[placeOf(d)] == nil {
				seen[placeOf(d)] = make(map[queries.Sums]int)
			}
			seen[placeOf(d)][d.Rollup.Sub(d.Ledger)]++
		}
	}
	for _, d := range before {
		most := 0
		for delta, times := range seen[placeOf(d)] {
			if times > most {
				most, d.Rollup = times, d.Ledger.Add(delta)
			}
		}
		if most >= looksWithoutHold/2 {
			settled = append(settled, d)
		} else {
			unsettled = append(unsettled, d)
		}
	}
	return settled, unsettled, nil
}

// among returns those of found whose places are among before's.
func among(found, before []queries.Difference) []queries.Difference {
	places := make(map[place]bool, len(before))
	for _, d := range before {
		places[placeOf(d)] = true
	}
	return slices.DeleteFunc(slices.Clone(found), func(d queries.Difference) bool {
		return !places[placeOf(d)]
	})
}

// split returns those of found that are as they were before, sums and all, and the others.
func split(found, before []queries.Difference) (same, moved []queries.Difference) {
	were := make(map[place]queries.Difference, len(before))
	for _, d := range before {
		were[placeOf(d)] = d
	}
	for _, d := range found {
		was := were[placeOf(d)]
		if was.Ledger == d.Ledger && was.Rollup == d.Rollup {
			same = append(same, d)
		} else {
			moved = append(moved, d)
		}
	}
	return same, moved
}

// daysOf returns the days to look at again: of a month that differs its first is enough.
func daysOf(differences []queries.Difference) []time.Time {
	var days []time.Time
	for _, d := range differences {
		days = append(days, d.Period.UTC())
	}
	slices.SortFunc(days, time.Time.Compare)
	return slices.Compact(days)
}

func textsOf(differences []queries.Difference) (findings []Finding) {
	for _, d := range differences {
		findings = append(findings, textOfDifference(d))
	}
	return findings
}

func textOfDifference(d queries.Difference) Finding {
	to := d.Period.AddDate(0, 0, 1)
	if d.Table == queries.ConsumptionMonthly {
		to = d.Period.AddDate(0, 1, 0)
	}
	f := finding(Rollup, "%s: organization %s, %s, %s: %s: run "+
		"`meterhouse rebuild --table %s --from %s --to %s`", d.Table, d.Organization,
		d.Period.Format(time.DateOnly), d.UsageType, textOfDelta(d), d.Table,
		d.Period.Format(time.DateOnly), to.Format(time.DateOnly))
	f.difference = d
	return f
}

// keys is what is not told apart by a rollup's sums and is by its keys.
var keys = map[string]string{
	queries.AgentUsage15m:      "agent, quarter hour, service, model and chargeable",
	queries.BillableHourly:     "hour, model and chargeable",
	queries.ConsumptionDaily:   "agent, user and dimension",
	queries.ConsumptionMonthly: "agent, user and dimension",
}

func textOfDelta(d queries.Difference) string {
	delta := d.Rollup.Sub(d.Ledger)
	if delta == (queries.Sums{Keys: delta.Keys}) {
		return fmt.Sprintf("keys differ: the sums are right (%s), what they are counted for is not "+
			"(%s)", TextOfSums(d.Ledger), keys[d.Table])
	}
	return fmt.Sprintf("ledger %s, rollup %s, delta %s",
		TextOfSums(d.Ledger), TextOfSums(d.Rollup), TextOfSums(delta))
}

// TextOfSums says what sums are, leaving out what is 0.
func TextOfSums(s queries.Sums) string {
	var all []string
	say := func(name, value string, zero bool) {
		if !zero {
			all = append(all, name+" "+value)
		}
	}
	say("quantity", s.Quantity.String(), s.Quantity.Sign() == 0)
	say("provider", s.ProviderCost.String(), s.ProviderCost.Sign() == 0)
	say("billed", s.BilledCost.String(), s.BilledCost.Sign() == 0)
	say("events", fmt.Sprint(s.Events), s.Events == 0)
	say("measurements", fmt.Sprint(s.Measurements), s.Measurements == 0)
	say("unpriced", fmt.Sprint(s.Unpriced), s.Unpriced == 0)
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}
