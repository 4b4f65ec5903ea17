package queries

import (
	"context"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// CatalogAuditParams asks for entries of the record of changes that are older than (Version,
// Ordinal).
type CatalogAuditParams struct {
	Organization uuid.UUID // zero: every one's, and no one's
	Version      uint64
	Ordinal      uint64
	Limit        uint64
}

type auditRow struct {
	entry  schema.AuditEntry
	action int8 // the number of an Enum8
}

var catalogAudit = ask("catalog_audit", func(p CatalogAuditParams) []any {
	return []any{
		id("organization", p.Organization),
		number("version", p.Version),
		number("ordinal", p.Ordinal),
		number("limit", p.Limit),
	}
}, func(r *auditRow) []any {
	e := &r.entry
	return []any{
		&e.Organization, &e.Kind, &e.ID, &r.action, &e.Before, &e.After,
		&e.Version, &e.Ordinal, &e.At, &e.Actor,
	}
})

// CatalogAudit returns what changed in the catalog, the newest first.
func (q *Queries) CatalogAudit(
	ctx context.Context, p CatalogAuditParams,
) ([]schema.AuditEntry, error) {
	var all []schema.AuditEntry
	err := stream(ctx, q.conn, catalogAudit, p, func(r auditRow) error {
		r.entry.Action, r.entry.At = schema.AuditAction(r.action), r.entry.At.UTC()
		all = append(all, r.entry)
		return nil
	})
	return all, err
}

// auditRows returns a change's record as rows.
func auditRows(c schema.CatalogChange) tableRows {
	rows := make([][]any, len(c.Audit))
	for i, e := range c.Audit {
		rows[i] = []any{
			c.Version, uint32(i), c.At.UTC(), c.Actor,
			e.Organization, e.Kind, e.ID, int8(e.Action), e.Before, e.After,
		}
	}
	return tableRows{insertCatalogAudit, rows}
}
