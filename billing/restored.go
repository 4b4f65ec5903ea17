package billing

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// revisionsOfRestore is what the numbers of revisions leap by with each restoring of the database:
// what Stripe was told between the backup and the loss is not remembered, and its names and numbers
// are not to be used again. Nobody fixes a thousand revisions of a slot in that time.
const revisionsOfRestore = 1000

// rawSettles is how old a restoring must be before the sums of Stripe's tell all that mode raw sent
// before it: sums are compared when they are two hours old, and hours when they are over.
const rawSettles = 3*time.Hour + 10*time.Minute

const waitsRestored = "the database was restored from a backup, and what Stripe was told since is not " +
	"in it: run `meterhouse report --after-restore`"

// restored reports whether nothing is to be told because the database was restored and nobody has
// compared yet. It takes the revisions before the restoring out of use.
func (p *pass) restored(ctx context.Context) (bool, error) {
	all, err := p.cfg.Queries.Restores(ctx)
	if err != nil {
		return false, err
	}
	p.least = uint32(len(all)) * revisionsOfRestore //nolint:gosec // a few
	for _, r := range all {
		if r.ReportsAt.IsZero() {
			p.run.End, p.run.Detail = schema.RunHalted, waitsRestored
			p.cfg.Logger.Warn("nothing is reported: " + waitsRestored)
			return true, nil
		}
	}
	return false, nil
}

// renumber gives an intent a revision that no restoring has taken out of use.
func (p *pass) renumber(i *schema.Intent) {
	if i.Revision < p.least {
		i.Revision = p.least
		i.Identifier = Identifier(i.Slot, i.Revision)
	}
}

// AfterRestore compares what Stripe has with what the restored database says it was told, and lets
// reports go on. Slots that differ are told again, in mode raw they are not: there it refuses while
// anything differs, could not be compared, or is younger than Stripe's sums. The comparisons are
// returned also with an error.
func (r *Reporter) AfterRestore(ctx context.Context) ([]schema.Comparison, error) {
	restores, err := r.cfg.Queries.Restores(ctx)
	if err != nil {
		return nil, err
	}
	open := false
	for _, one := range restores {
		if !one.ReportsAt.IsZero() {
			continue
		}
		open = true
		if left := rawSettles - r.now().Sub(one.RestoredAt); r.cfg.Mode == schema.Raw && left > 0 {
			return nil, schema.Errorf(schema.Unavailable, "", "in mode raw a number told twice counts "+
				"twice: wait %s, until Stripe's sums have all that was sent",
				left.Round(time.Minute))
		}
	}
	if !open {
		return nil, schema.Errorf(schema.Conflict, "", "nothing waits: reports go on")
	}
	all, err := r.Reconcile(ctx)
	if err != nil {
		return nil, err
	}
	if s := summarize(all); r.cfg.Mode == schema.Raw && s.differ+s.skipped > 0 {
		return all, schema.Errorf(schema.Conflict, "", "%d differ, %d could not be compared: in mode "+
			"raw they are not told again; correct them at Stripe, then run this again",
			s.differ, s.skipped)
	}
	return all, r.cfg.Queries.LetReport(ctx, r.now())
}
