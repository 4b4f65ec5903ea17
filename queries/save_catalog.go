package queries

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/meterhouse/meterhouse/schema"
)

// SaveCatalog writes a change: its rows, the record of them, then its version. When it fails nobody
// is told of the change, though some of its rows may be there: the same change can be saved again.
func (q *Queries) SaveCatalog(ctx context.Context, c schema.CatalogChange) error {
	if c.Version == 0 {
		return errVersion
	}
	tables := catalogRows(c.Upsert, false, c.Version)
	for i, t := range catalogRows(c.Retire, true, c.Version) {
		tables[i].rows = append(tables[i].rows, t.rows...)
	}
	tables = append(tables, auditRows(c), tableRows{insertCatalogChanges, [][]any{
		{c.Version, c.At.UTC(), c.Actor, c.Summary},
	}})
	for _, t := range tables {
		if err := q.insertRows(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

const (
	insertCatalogAudit   = "insert_catalog_audit"
	insertCatalogChanges = "insert_catalog_changes"
)

// tableRows is what one insert of a small table writes.
type tableRows struct {
	name string // of the .sql file, without .sql
	rows [][]any
}

// catalogRows returns the rows of each table of the catalog, the tables always in one order.
func catalogRows(c schema.Catalog, retired bool, version uint64) []tableRows {
	end := []any{retired, version}
	return []tableRows{
		{"insert_organizations", rowsOf(c.Organizations, end, func(o schema.Organization) []any {
			meters, items := make([]string, 0), make([]string, 0)
			for _, m := range o.Stripe.Meters {
				meters, items = append(meters, m.Meter), append(items, m.SubscriptionItem)
			}
			return []any{
				o.ID, o.Name, o.Tenant,
				o.Stripe.Customer, o.Stripe.Meter, o.Stripe.SubscriptionItem,
				meters, items, orEpoch(o.Stripe.Since), o.EventsPerMinute, o.RetentionDays,
			}
		})},
		{"insert_users", rowsOf(c.Users, end, func(u schema.User) []any {
			return []any{u.ID, u.Name, u.Email}
		})},
		{"insert_memberships", rowsOf(c.Memberships, end, func(m schema.Membership) []any {
			return []any{m.Organization, m.User, int8(max(m.Role, schema.Member)), m.Active}
		})},
		{"insert_agents", rowsOf(c.Agents, end, func(a schema.Agent) []any {
			return []any{a.ID, a.Organization, a.Name, a.Owner}
		})},
		{"insert_services", rowsOf(c.Services, end, func(s schema.Service) []any {
			return []any{s.Name}
		})},
		{"insert_meters", rowsOf(c.Meters, end, func(m schema.Meter) []any {
			return []any{
				m.Name, int8(m.Unit), append([]string{}, m.UsageTypes...),
				append([]string{}, m.Models...), m.StripeID,
			}
		})},
		{"insert_credentials", rowsOf(c.Credentials, end, func(s schema.Credential) []any {
			return []any{
				int8(s.Kind), hashText(s.Hash), s.Organization, s.User, s.Agent,
				s.Name, orEpoch(s.ExpiresAt), s.RequestsPerMinute,
			}
		})},
		{"insert_text_model_costs", rowsOf(c.Rates, end, func(r schema.Rate) []any {
			return []any{
				r.ID, r.Model, r.UsageType, r.Provider,
				r.ProviderUSDPerMillion.Decimal(), r.BilledUSDPerMillion.Decimal(), r.From.UTC(),
			}
		})},
	}
}

func rowsOf[T any](items []T, end []any, row func(T) []any) [][]any {
	rows := make([][]any, 0, len(items))
	for _, item := range items {
		rows = append(rows, append(row(item), end...))
	}
	return rows
}

// insertRows writes rows of a small table row by row: clickhouse-go converts the values.
func (q *Queries) insertRows(ctx context.Context, t tableRows) error {
	if len(t.rows) == 0 {
		return nil
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
	return whenSettled(ctx, func() error {
		out, err := q.conn.PrepareBatch(ctx, sqlFile(t.name+".sql"))
		if err != nil {
			return err
		}
		for _, row := range t.rows {
			if err := out.Append(row...); err != nil {
				return errors.Join(err, out.Abort())
			}
		}
		return out.Send()
	})
}

// orEpoch stands in for a zero time, which is before what a DateTime64 can hold.
func orEpoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.UTC()
}
