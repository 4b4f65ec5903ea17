package access

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// Change is rows of the catalog that are to be written and rows that no longer count.
type Change struct {
	Upsert schema.Catalog
	Retire schema.Catalog
}

// Change implements dialect.Catalog.
func (d *Directory) Change(
	ctx context.Context, actor string, plan func(*Snapshot) (Change, error),
) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	if err := d.Refresh(ctx); err != nil {
		return err
	}
	have := d.Snapshot()
	change, err := plan(have)
	if err != nil {
		return err
	}
	summary := Summary(change.Upsert)
	now := time.Now()
	if err := d.catalog.SaveCatalog(ctx, schema.CatalogChange{
		Upsert: change.Upsert, Retire: change.Retire,
		Version: nextVersion(have.Version(), now), At: now, Actor: actor, Summary: summary,
	}); err != nil {
		return err
	}
	return d.Refresh(ctx)
}

// nextVersion is the time in microseconds, or one more than the newest version where the clock
// is behind it.
func nextVersion(newest uint64, now time.Time) uint64 {
	return max(newest+1, uint64(now.UnixMicro()))
}
