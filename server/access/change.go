package access

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// Change is rows of the catalog that are to be written and rows that no longer count.
type Change struct {
	Upsert schema.Catalog
	Retire schema.Catalog
}

// settleTimeout bounds how long a change that failed is taken back before its caller is told.
const settleTimeout = 5 * time.Second

// Change implements dialect.Catalog. A plan that changes nothing writes nothing. The error of a
// change that cannot be made beside what is there is a schema.Conflict. One that failed half way is
// taken back, at once or as soon as the database can be reached, before anyone sees a part of it.
func (d *Directory) Change(
	ctx context.Context, actor string, plan func(*Snapshot) (Change, error),
) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if _, err := d.settle(ctx); err != nil {
		return err
	}
	if err := d.Refresh(ctx); err != nil {
		return err
	}
	have := d.Snapshot()
	change, err := plan(have)
	if err != nil {
		return err
	}
	change = change.effective(have)
	if change.summary() == "" {
		return nil
	}
	if err := d.conflict(ctx, have, change); err != nil {
		return err
	}
	saved := change.at(have.Version(), d.now(), actor)
	saved.Audit = Touched(have, change)
	if err := d.save(ctx, saved, have.inverse(change)); err != nil {
		return err
	}
	if err := d.Refresh(ctx); err != nil {
		return err
	}
	return d.announce(ctx, saved)
}

// announce makes a change seen that another node's overtook: nodes look for a newer version than
// they know, and this one's would be older.
func (d *Directory) announce(ctx context.Context, c schema.CatalogChange) error {
	newest := d.Snapshot().Version()
	if newest <= c.Version {
		return nil
	}
	again := Change{}.at(newest, d.now(), c.Actor)
	again.Summary = "announces " + c.Summary
	if err := d.catalog.SaveCatalog(ctx, again); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return d.Refresh(ctx)
}

// unsettled is a change that failed: none, a part, or all of it may be stored.
type unsettled struct {
	version uint64
	inverse Change
}

// save saves a change, or nothing of it.
func (d *Directory) save(ctx context.Context, c schema.CatalogChange, inverse Change) error {
	cause := d.catalog.SaveCatalog(ctx, c)
	if cause == nil {
		return nil
	}
	d.failed = &unsettled{c.Version, inverse}
	// The caller may be gone: what it left behind is not its business any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if made, err := d.settle(ctx); err == nil && made {
		return nil
	}
	return fmt.Errorf("catalog: %w", cause)
}

// settle finds out what became of a change that failed, and takes back what was stored of one that
// was not announced: the rows would be seen with the next change. It reports whether the change was
// made after all. The caller holds changing.
func (d *Directory) settle(ctx context.Context) (made bool, err error) {
	if d.failed == nil {
		return false, nil
	}
	newest, err := d.catalog.CatalogVersion(ctx)
	if err != nil {
		return false, fmt.Errorf("catalog: %w", err)
	}
	if newest == d.failed.version {
		d.failed = nil
		return true, nil
	}
	undo := d.failed.inverse.at(max(newest, d.failed.version), d.now(), "meterhouse")
	undo.Summary = "takes back a change that failed"
	if err := d.catalog.SaveCatalog(ctx, undo); err != nil {
		return false, fmt.Errorf("catalog: %w", err)
	}
	d.failed = nil
	return false, nil
}

// settleIdle is settle for when nobody is changing anything.
func (d *Directory) settleIdle(ctx context.Context) error {
	if !d.changing.TryLock() {
		return nil
	}
	defer d.changing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_, err := d.settle(ctx)
	return err
}

// at returns what saves the change after a version.
func (c Change) at(newest uint64, now time.Time, actor string) schema.CatalogChange {
	return schema.CatalogChange{
		Upsert: c.Upsert, Retire: c.Retire, Actor: actor, Summary: c.summary(),
		At: now, Version: nextVersion(newest, now),
	}
}

func (c Change) summary() string {
	upserts, retires := Summary(c.Upsert), Summary(c.Retire)
	switch {
	case retires == "":
		return upserts
	case upserts == "":
		return "retired: " + retires
	}
	return upserts + "; retired: " + retires
}

// effective leaves out what is there already as it is, and what is not there to be retired.
func (c Change) effective(have *Snapshot) Change {
	return Change{Upsert: Diff(have, c.Upsert), Retire: have.counterparts(c.Retire)}
}

// inverse returns the change that leads back.
func (s *Snapshot) inverse(c Change) Change {
	back := s.counterparts(c.Upsert)
	gone := s.counterparts(c.Retire)
	back.Organizations = append(back.Organizations, gone.Organizations...)
	back.Users = append(back.Users, gone.Users...)
	back.Memberships = append(back.Memberships, gone.Memberships...)
	back.Agents = append(back.Agents, gone.Agents...)
	back.Services = append(back.Services, gone.Services...)
	back.Meters = append(back.Meters, gone.Meters...)
	back.Credentials = append(back.Credentials, gone.Credentials...)
	back.Rates = append(back.Rates, gone.Rates...)
	return Change{Upsert: back, Retire: s.missing(c.Upsert)}
}

// nextVersion is the time in microseconds, or one more than the newest version where the clock
// is behind it.
func nextVersion(newest uint64, now time.Time) uint64 {
	return max(newest+1, uint64(now.UnixMicro()))
}

// Apply brings the catalog to what a file says and returns what changed, in a few words; empty when
// it was so already. Errors are ParseFile's and Change's.
func (d *Directory) Apply(ctx context.Context, file io.Reader, actor string) (string, error) {
	want, err := ParseFile(file)
	if err != nil {
		return "", err
	}
	var summary string
	err = d.Change(ctx, actor, func(have *Snapshot) (Change, error) {
		change := fileChange(have, want)
		summary = change.summary()
		return change, nil
	})
	return summary, err
}

// Preview returns what Apply would do, as Lines has it, and changes nothing.
func (d *Directory) Preview(ctx context.Context, file io.Reader) ([]string, error) {
	want, err := ParseFile(file)
	if err != nil {
		return nil, err
	}
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	have := d.Snapshot()
	change := fileChange(have, want)
	if err := d.conflict(ctx, have, change); err != nil {
		return nil, err
	}
	return Lines(Touched(have, change)), nil
}

// fileChange returns what brings a catalog to what a file says. What a file may leave out, and
// does, stays as it is.
func fileChange(have *Snapshot, want schema.Catalog) Change {
	for i := range want.Organizations {
		o := &want.Organizations[i]
		old, _ := have.organization(*o)
		if o.EventsPerMinute == 0 {
			o.EventsPerMinute = old.EventsPerMinute
		}
		if o.RetentionDays == 0 {
			o.RetentionDays = old.RetentionDays
		}
		o.Stripe = fileMappingOf(o.Stripe, old.Stripe)
	}
	for i := range want.Users {
		u := &want.Users[i]
		if old, ok := have.user(*u); ok && u.Email == "" {
			u.Email = old.Email
		}
	}
	for i := range want.Credentials {
		k := &want.Credentials[i]
		old, ok := have.credential(*k)
		if !ok {
			continue
		}
		if k.Name == "" {
			k.Name = old.Name
		}
		if k.ExpiresAt.IsZero() {
			k.ExpiresAt = old.ExpiresAt
		}
		if k.RequestsPerMinute == 0 {
			k.RequestsPerMinute = old.RequestsPerMinute
		}
	}
	return Change{Upsert: Diff(have, want)}
}

// fileMappingOf returns what a file makes of a mapping. A file that has no mapping takes it off, as
// it did before there were meters and a since to leave out.
func fileMappingOf(want, old schema.StripeMapping) schema.StripeMapping {
	if want.Meters == nil && want.Customer != "" {
		want.Meters = old.Meters
	}
	switch {
	case want.Since.IsZero() && want.Customer != "":
		want.Since = old.Since
	case want.Since.Unix() == 0:
		want.Since = time.Time{} // all there is, as it is stored
	}
	return want
}
