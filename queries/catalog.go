package queries

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var (
	catalogVersion = ask("catalog_version", bindNone, func(v *uint64) []any { return []any{v} })

	organizations        = ask("organizations", bindNone, scanOrganization)
	retiredOrganizations = ask("retired_organizations", bindNone, scanOrganization)

	users = ask("users", bindNone, func(u *schema.User) []any { return []any{&u.ID, &u.Name, &u.Email} })

	memberships = ask("memberships", bindNone, func(m *membershipRow) []any {
		return []any{&m.organization, &m.user, &m.role, &m.active}
	})
	agents = ask("agents", bindNone, func(a *schema.Agent) []any {
		return []any{&a.ID, &a.Organization, &a.Name, &a.Owner}
	})
	services = ask("services", bindNone, func(s *schema.Service) []any { return []any{&s.Name} })

	meters = ask("meters", bindNone, func(m *meterRow) []any {
		return []any{&m.Name, &m.unit, &m.UsageTypes, &m.Models, &m.StripeID}
	})
	credentials = ask("credentials", bindNone, func(c *credentialRow) []any {
		return []any{
			&c.kind, &c.hash, &c.organization, &c.user, &c.agent,
			&c.name, &c.expires, &c.requestsPerMinute,
		}
	})
	textModelCosts = ask("text_model_costs", bindNone, func(r *schema.Rate) []any {
		return []any{
			&r.ID, &r.Model, &r.UsageType, &r.Provider,
			&r.ProviderUSDPerMillion, &r.BilledUSDPerMillion, &r.From,
		}
	})
)

type organizationRow struct {
	schema.Organization
	meters, items []string  // of its mapping, side by side
	since         time.Time // of its mapping; the epoch: all
}

func scanOrganization(r *organizationRow) []any {
	return []any{
		&r.ID, &r.Name, &r.Tenant,
		&r.Stripe.Customer, &r.Stripe.Meter, &r.Stripe.SubscriptionItem,
		&r.meters, &r.items, &r.since, &r.EventsPerMinute, &r.RetentionDays,
	}
}

type meterRow struct {
	schema.Meter
	unit int8 // the number of an Enum8
}

type membershipRow struct {
	organization, user uuid.UUID
	role               int8 // the number of an Enum8
	active             bool
}

type credentialRow struct {
	kind                      int8 // the number of an Enum8
	hash                      string
	organization, user, agent uuid.UUID
	name                      string
	expires                   time.Time // the epoch: never
	requestsPerMinute         uint32
}

// CatalogVersion returns the version of the newest change, 0 before the first.
func (q *Queries) CatalogVersion(ctx context.Context) (uint64, error) {
	version, _, err := first(ctx, q.conn, catalogVersion, none{})
	return version, err
}

// LoadCatalog reads the whole catalog, without what is retired, each table in the order of its key.
// The version is read first: a change that lands in between is then seen as newer than what was
// loaded, and loaded again.
func (q *Queries) LoadCatalog(ctx context.Context) (schema.Catalog, error) {
	var c schema.Catalog
	var err error
	if c.Version, err = q.CatalogVersion(ctx); err != nil {
		return schema.Catalog{}, err
	}
	if c.Organizations, c.Meters, err = q.Billed(ctx); err != nil {
		return schema.Catalog{}, err
	}
	var members []membershipRow
	var secrets []credentialRow
	for _, load := range []func() error{
		loading(ctx, q, users, &c.Users),
		loading(ctx, q, memberships, &members),
		loading(ctx, q, agents, &c.Agents),
		loading(ctx, q, services, &c.Services),
		loading(ctx, q, credentials, &secrets),
		loading(ctx, q, textModelCosts, &c.Rates),
	} {
		if err := load(); err != nil {
			return schema.Catalog{}, err
		}
	}
	for _, m := range members {
		c.Memberships = append(c.Memberships, schema.Membership{
			Organization: m.organization, User: m.user,
			Role: schema.Role(m.role), Active: m.active,
		})
	}
	for _, s := range secrets {
		credential, err := s.credential()
		if err != nil {
			return schema.Catalog{}, err
		}
		c.Credentials = append(c.Credentials, credential)
	}
	return c, nil
}

// Billed returns the organizations and meters of the catalog, in the order of their keys.
func (q *Queries) Billed(ctx context.Context) ([]schema.Organization, []schema.Meter, error) {
	var rows []organizationRow
	var counts []meterRow
	for _, load := range []func() error{
		loading(ctx, q, organizations, &rows),
		loading(ctx, q, meters, &counts),
	} {
		if err := load(); err != nil {
			return nil, nil, err
		}
	}
	all, err := organizationsOf(rows)
	if err != nil {
		return nil, nil, err
	}
	var of []schema.Meter
	for _, r := range counts {
		of = append(of, r.meter())
	}
	return all, of, nil
}

// RetiredOrganizations returns the organizations that were retired, as they were, in the order of
// their ids: Stripe is told of what they used to the end.
func (q *Queries) RetiredOrganizations(ctx context.Context) ([]schema.Organization, error) {
	rows, err := collect(ctx, q.conn, retiredOrganizations, none{})
	if err != nil {
		return nil, err
	}
	return organizationsOf(rows)
}

func organizationsOf(rows []organizationRow) ([]schema.Organization, error) {
	var all []schema.Organization
	for _, r := range rows {
		o, err := r.organization()
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// loading returns what fills into with the answer to a question without parameters.
func loading[R any](
	ctx context.Context, q *Queries, asked question[none, R], into *[]R,
) func() error {
	return func() (err error) {
		*into, err = collect(ctx, q.conn, asked, none{})
		return err
	}
}

func (r organizationRow) organization() (schema.Organization, error) {
	o := r.Organization
	if len(r.meters) != len(r.items) {
		return o, fmt.Errorf("organizations: %s has %d meters and %d subscription items",
			o.ID, len(r.meters), len(r.items))
	}
	for i, name := range r.meters {
		o.Stripe.Meters = append(o.Stripe.Meters,
			schema.MeterMapping{Meter: name, SubscriptionItem: r.items[i]})
	}
	if r.since.Unix() != 0 {
		o.Stripe.Since = r.since.UTC()
	}
	return o, nil
}

func (r meterRow) meter() schema.Meter {
	m := r.Meter
	m.Unit = schema.MeterUnit(r.unit)
	if len(m.UsageTypes) == 0 { // as whoever names none writes it
		m.UsageTypes = nil
	}
	if len(m.Models) == 0 {
		m.Models = nil
	}
	return m
}

func (r credentialRow) credential() (schema.Credential, error) {
	c := schema.Credential{
		Kind:         schema.CredentialKind(r.kind),
		Organization: r.organization, User: r.user, Agent: r.agent,
		Name: r.name, RequestsPerMinute: r.requestsPerMinute,
	}
	if r.expires.UnixMicro() != 0 {
		c.ExpiresAt = r.expires.UTC()
	}
	b, err := hex.DecodeString(r.hash)
	if err != nil || len(b) != len(c.Hash) {
		return c, errors.New("credentials: secret_sha256 is not 64 hexadecimal digits")
	}
	copy(c.Hash[:], b)
	return c, nil
}

func hashText(h schema.SecretHash) string { return hex.EncodeToString(h[:]) }

// errVersion is a change that nobody would see.
var errVersion = fmt.Errorf("%s: the version must be over 0", insertCatalogChanges)
