package access

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// Catalog is where a Directory reads from, and where changes go.
type Catalog interface {
	// CatalogVersion returns the version of the newest change; 0 when there was none.
	CatalogVersion(ctx context.Context) (uint64, error)
	// LoadCatalog returns the catalog as of at least the version it carries.
	LoadCatalog(ctx context.Context) (schema.Catalog, error)
	// SaveCatalog writes a change; after an error the same change may be saved again.
	SaveCatalog(ctx context.Context, c schema.CatalogChange) error
}

// refreshInterval keeps every node within two seconds of a change, the query's own time included.
const refreshInterval = 1500 * time.Millisecond

// Directory holds the newest Snapshot. While the catalog cannot be read, it keeps the last one:
// writers need no database to be recognized.
type Directory struct {
	catalog  Catalog
	logger   *slog.Logger
	snapshot atomic.Pointer[Snapshot]

	changing   sync.Mutex // held by one Change at a time
	refreshing sync.Mutex
	cancel     context.CancelFunc
	done       chan struct{}
}

// NewDirectory returns a Directory with an empty snapshot. It reads nothing yet.
func NewDirectory(catalog Catalog, logger *slog.Logger) *Directory {
	d := &Directory{catalog: catalog, logger: logger, done: make(chan struct{})}
	d.snapshot.Store(NewSnapshot(schema.Catalog{}))
	return d
}

// Snapshot returns the newest snapshot.
func (d *Directory) Snapshot() *Snapshot { return d.snapshot.Load() }

// Refresh reads the catalog when it has changed.
func (d *Directory) Refresh(ctx context.Context) error {
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	version, err := d.catalog.CatalogVersion(ctx)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if version == d.Snapshot().Version() {
		return nil
	}
	c, err := d.catalog.LoadCatalog(ctx)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	d.snapshot.Store(NewSnapshot(c))
	return nil
}

// Start refreshes until Stop.
func (d *Directory) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	go func() {
		defer close(d.done)
		d.run(ctx)
	}()
}

// Stop ends what Start began, if it did.
func (d *Directory) Stop() {
	if d.cancel == nil {
		return
	}
	d.cancel()
	<-d.done
}

func (d *Directory) run(ctx context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := d.Refresh(ctx)
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			d.logger.Warn("catalog cannot be read, keeping the last one", "error", err)
		case err == nil && failing:
			d.logger.Info("catalog can be read again")
		}
		failing = err != nil
	}
}
