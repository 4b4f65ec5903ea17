package access

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// slowCatalog is a database that hangs, is away or answers.
type slowCatalog struct {
	Catalog
	hangs, away atomic.Bool
	newest      atomic.Pointer[schema.Catalog]
}

func (c *slowCatalog) CatalogVersion(ctx context.Context) (uint64, error) {
	if c.hangs.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if c.away.Load() {
		return 0, errors.New("connection refused")
	}
	return c.newest.Load().Version, nil
}

func (c *slowCatalog) LoadCatalog(context.Context) (schema.Catalog, error) {
	return *c.newest.Load(), nil
}

// Whatever happened to the database before, a change counts soon after it can be read again.
func TestDirectoryFollowsTheCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := testCatalog(), testCatalog()
		second.Version++
		second.Credentials = second.Credentials[1:] // the agent's secret is retired
		store := &slowCatalog{}
		store.newest.Store(&first)
		d := NewDirectory(store, slog.New(slog.DiscardHandler))
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.Start()
		defer d.Stop()
		knows := func(want bool) {
			t.Helper()
			_, err := d.Secret("agent-secret", schema.AgentSecret)
			if (err == nil) != want {
				t.Errorf("a retired secret counts: %v, want %v", err == nil, want)
			}
		}
		time.Sleep(time.Minute)
		knows(true)
		store.hangs.Store(true)
		time.Sleep(time.Minute)
		store.newest.Store(&second)
		store.hangs.Store(false)
		store.away.Store(true)
		time.Sleep(time.Minute)
		knows(true) // who was known stays known
		store.away.Store(false)
		time.Sleep(refreshInterval)
		synctest.Wait()
		knows(false)
	})
}
