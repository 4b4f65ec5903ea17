package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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
	// ToldMeters returns the meters that Stripe was told of for hours from a time on, with the unit
	// that each counts in: retired ones too.
	ToldMeters(ctx context.Context, from time.Time) ([]schema.Meter, error)
}

// refreshInterval keeps every node within two seconds of a change, the query's own time included.
const refreshInterval = 1500 * time.Millisecond

// refreshTimeout bounds one look at the catalog: a database that hangs must not end all of them.
const refreshTimeout = 10 * time.Second

// Config is what a Directory needs. The zero values limit nobody and know no tokens but its own.
type Config struct {
	Catalog Catalog
	Logger  *slog.Logger
	Now     func() time.Time // nil: time.Now
	Random  io.Reader        // of secrets and ids; nil: the system's

	// RequestsPerMinute is how often each credential may ask this node where the credential does
	// not say otherwise; 0: as often as it likes.
	RequestsPerMinute int64
	Tokens            TokenConfig
}

// Directory holds the newest Snapshot. While the catalog cannot be read, it keeps the last one:
// writers need no database to be recognized.
type Directory struct {
	catalog Catalog
	logger  *slog.Logger
	now     func() time.Time
	limit   int64
	tokens  *tokens
	current atomic.Pointer[standings]
	checked atomic.Int64 // when the catalog was last seen to be the newest, in nanoseconds
	users   sync.Map     // by user id, the *window of tokens that no credential stands behind

	changing   sync.Mutex // held by one Change at a time
	failed     *unsettled // of the last one; nil: nothing is left of it
	refreshing sync.Mutex
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// New returns a Directory with an empty snapshot. It reads nothing yet. The error is about
// c.Tokens.
func New(c Config) (*Directory, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	tokens, err := newTokens(c)
	if err != nil {
		return nil, err
	}
	d := &Directory{
		catalog: c.Catalog, logger: c.Logger, now: c.Now,
		limit: c.RequestsPerMinute, tokens: tokens,
	}
	d.install(NewSnapshot(schema.Catalog{}))
	return d, nil
}

// NewDirectory returns a Directory that limits nobody and knows no tokens but its own.
func NewDirectory(catalog Catalog, logger *slog.Logger) *Directory {
	d, err := New(Config{Catalog: catalog, Logger: logger})
	if err != nil {
		panic(err) // only what was configured can be refused
	}
	return d
}

// Snapshot returns the newest snapshot.
func (d *Directory) Snapshot() *Snapshot { return d.current.Load().snapshot }

// Refresh reads the catalog when it has changed.
func (d *Directory) Refresh(ctx context.Context) error {
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	began := d.now()
	version, err := d.catalog.CatalogVersion(ctx)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if version == d.Snapshot().Version() {
		d.checked.Store(began.UnixNano())
		return nil
	}
	c, err := d.catalog.LoadCatalog(ctx)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	d.install(NewSnapshot(c))
	d.checked.Store(began.UnixNano())
	return nil
}

// Age returns how long ago the snapshot was last seen to be the newest; 0 before the first time.
func (d *Directory) Age() time.Duration {
	at := d.checked.Load()
	if at == 0 {
		return 0
	}
	return max(0, d.now().Sub(time.Unix(0, at)))
}

// Start refreshes the catalog and an issuer's keys until Stop.
func (d *Directory) Start() {
	if d.tokens.Secret == "" {
		d.logger.Info("no secret of JWTs is configured: tokens issued for app passwords end " +
			"with this process and count on this node only")
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.running.Go(func() { d.run(ctx) })
	if d.tokens.keys != nil {
		d.running.Go(func() { d.tokens.keys.run(ctx) })
	}
}

// Stop ends what Start began, if it did.
func (d *Directory) Stop() {
	if d.cancel == nil {
		return
	}
	d.cancel()
	d.running.Wait()
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
		err := errors.Join(d.settleIdle(ctx), d.Refresh(ctx))
		switch {
		case err != nil && !failing && ctx.Err() == nil:
			d.logger.Warn("catalog cannot be read, keeping the last one", "error", err)
		case err == nil && failing:
			d.logger.Info("catalog can be read again")
		}
		failing = err != nil
	}
}
