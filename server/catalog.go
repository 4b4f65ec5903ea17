package server

import (
	"context"
	"math"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// changeTimeout bounds a change of the catalog from outside: others wait for it.
const changeTimeout = 15 * time.Second

// catalog implements dialect.Catalog.
type catalog struct {
	directory *access.Directory
	queries   *queries.Queries
}

func (c *catalog) Change(
	ctx context.Context, actor string, plan func(*access.Snapshot) (access.Change, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	err := c.directory.Change(ctx, actor, plan)
	if schema.KindOf(err) != schema.Internal {
		return err // the plan's own
	}
	return unavailable(err)
}

func (c *catalog) Audit(
	ctx context.Context, p dialect.AuditParams,
) ([]schema.AuditEntry, dialect.AuditPlace, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	if p.Before == (dialect.AuditPlace{}) {
		p.Before.Version = math.MaxUint64
	}
	entries, err := c.queries.CatalogAudit(ctx, queries.CatalogAuditParams{
		Organization: p.Organization,
		Version:      p.Before.Version,
		Ordinal:      uint64(p.Before.Ordinal),
		Limit:        uint64(p.Limit) + 1, // one more tells whether there is a next page
	})
	if err != nil {
		return nil, dialect.AuditPlace{}, unavailable(err)
	}
	if len(entries) <= p.Limit {
		return entries, dialect.AuditPlace{}, nil
	}
	entries = entries[:p.Limit]
	last := entries[p.Limit-1]
	return entries, dialect.AuditPlace{Version: last.Version, Ordinal: last.Ordinal}, nil
}
