package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// reports proves what Stripe's equality with the ledger rests on: that what it is told of a slot
// was fixed once, under one name, before it was sent, and that none of it is missing. What Stripe
// has it cannot see; slots that it was not told of yet are no findings, as Stripe may be away, and
// are noted.
func (v *Verifier) reports(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, notes []string, err error) {
	all, err := v.cfg.Queries.VerifyReports(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range all {
		place := ""
		if d.Organization != uuid.Nil {
			place = fmt.Sprintf("organization %s, meter %s, %s, ",
				d.Organization, d.Meter, d.Start.UTC().Format("2006-01-02T15"))
		}
		found = append(found, finding(Slot, "%s: %s%s %d %s (%d): keep the rows, stop reporting "+
			"(METERHOUSE_REPORT_INTERVAL=0) and look at `meterhouse report --explain`",
			d.Table, place, d.Thing, d.Number, d.Problem, d.Times))
	}
	notes, err = v.behind(ctx)
	return found, notes, err
}

// Slots that ended this long ago and are not as Stripe was told are noted, of the hours that it
// still takes, with a margin; and what of older hours and of closed periods waits to be carried.
const (
	behindAfter = 24 * time.Hour
	behindSince = 35*24*time.Hour - 6*time.Hour
	carryFrom   = 400 * 24 * time.Hour
)

// behind notes how far the reports are behind, when they are.
func (v *Verifier) behind(ctx context.Context) (notes []string, err error) {
	if v.cfg.Mode == 0 {
		return nil, nil
	}
	organizations, _, err := v.cfg.Queries.Billed(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(organizations, func(o schema.Organization) bool {
		return o.Stripe.Customer != ""
	}) {
		return nil, nil // nobody is billed by Stripe
	}
	now := v.cfg.Now().UTC()
	b, err := v.cfg.Queries.ReportBacklog(ctx, queries.OpenSlotsParams{
		Mode: v.cfg.Mode, From: now.Add(-behindSince), Sealed: now.Add(-behindAfter), Now: now,
	})
	if err != nil {
		return nil, err
	}
	due, err := v.cfg.Queries.DueCarries(ctx, queries.DueParams{
		Mode: v.cfg.Mode, From: now.Add(-carryFrom).Truncate(time.Hour),
		Oldest: now.Add(-behindSince).Truncate(time.Hour), Carried: now.Add(-2 * behindAfter),
		Limit: 1000,
	})
	if err != nil {
		return nil, err
	}
	note := func(n uint64, format string, args ...any) {
		if n > 0 {
			notes = append(notes, "reports: "+fmt.Sprintf(format, args...))
		}
	}
	note(b.Unsynced, "Stripe was not told of %d slots that ended more than a day ago, or otherwise "+
		"than they are now, the oldest of %s: see the newest passes in report_runs",
		b.Unsynced, b.Oldest.UTC().Format("2006-01-02T15"))
	note(uint64(len(due)), "%d closed periods, or hours that are too old for Stripe, lack units that "+
		"wait to be carried into a later hour", len(due))
	note(b.Rejected, "Stripe refused %d slots: `GET /v1/report/slots` says why", b.Rejected)
	note(b.TooLarge, "%d slots are more than Stripe takes as one value", b.TooLarge)
	if b.UnmappedUnits == 0 { // usage that costs nothing
		b.Unmapped = 0
	}
	note(b.Unmapped, "%d slots with usage that no meter counts, of %d micro-USD: nobody is billed",
		b.Unmapped, b.UnmappedUnits)
	return notes, nil
}
