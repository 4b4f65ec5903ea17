package access

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Thing is one thing of the catalog as it may be shown and kept on record: without its secret and
// without the hash of it.
type Thing struct {
	Kind         string
	ID           string    // as the admin API names it
	Organization uuid.UUID // whose it is; zero: no single one's
	Document     string    // a JSON object

	key string // what stays when it changes, where the id does not
}

// The kinds of things.
const (
	KindOrganization  = "organization"
	KindStripeMapping = "stripe_mapping"
	KindUser          = "user"
	KindMembership    = "membership"
	KindAgent         = "agent"
	KindService       = "service"
	KindMeter         = "meter"
	KindCredential    = "credential"
	KindRate          = "text_model_cost"
)

// document renders a thing. Marshal would write < and > as escapes, which a person reads badly.
func document(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // nothing of ours cannot be written as JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func orNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func orNever(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// OrganizationThing shows an organization; its mapping to Stripe is a thing of its own.
func OrganizationThing(o schema.Organization) Thing {
	return Thing{KindOrganization, o.ID.String(), o.ID, document(struct {
		ID     uuid.UUID `json:"id"`
		Name   string    `json:"name"`
		Tenant string    `json:"tenant"`
		Limit  uint32    `json:"events_per_minute"`
		Keep   uint32    `json:"retention_days"`
	}{o.ID, o.Name, o.Tenant, o.EventsPerMinute, o.RetentionDays}), ""}
}

// StripeThing shows an organization's mapping to Stripe.
func StripeThing(o schema.Organization) Thing {
	type mapped struct {
		Meter            string `json:"meter"`
		SubscriptionItem string `json:"subscription_item"`
	}
	meters := make([]mapped, 0, len(o.Stripe.Meters))
	for _, m := range o.Stripe.Meters {
		meters = append(meters, mapped(m))
	}
	return Thing{KindStripeMapping, o.ID.String(), o.ID, document(struct {
		Organization     uuid.UUID  `json:"organization_id"`
		Customer         string     `json:"customer"`
		Meter            string     `json:"meter"`
		SubscriptionItem string     `json:"subscription_item"`
		Meters           []mapped   `json:"meters"`
		Since            *time.Time `json:"since"`
	}{
		o.ID, o.Stripe.Customer, o.Stripe.Meter, o.Stripe.SubscriptionItem,
		meters, orNever(o.Stripe.Since),
	}), ""}
}

// UserThing shows a user. Users belong to no organization.
func UserThing(u schema.User) Thing {
	return Thing{KindUser, u.ID.String(), uuid.Nil, document(struct {
		ID    uuid.UUID `json:"id"`
		Name  string    `json:"name"`
		Email string    `json:"email"`
	}{u.ID, u.Name, u.Email}), ""}
}

// MembershipThing shows a user's role in an organization.
func MembershipThing(m schema.Membership) Thing {
	id := m.Organization.String() + "/" + m.User.String()
	return Thing{KindMembership, id, m.Organization, document(struct {
		Organization uuid.UUID `json:"organization_id"`
		User         uuid.UUID `json:"user_id"`
		Role         string    `json:"role"`
		Active       bool      `json:"active"`
	}{m.Organization, m.User, nameOf(roles, m.Role), m.Active}), ""}
}

// AgentThing shows an agent.
func AgentThing(a schema.Agent) Thing {
	return Thing{KindAgent, a.ID.String(), a.Organization, document(struct {
		ID           uuid.UUID  `json:"id"`
		Organization uuid.UUID  `json:"organization_id"`
		Name         string     `json:"name"`
		Owner        *uuid.UUID `json:"owner_id"`
	}{a.ID, a.Organization, a.Name, orNull(a.Owner)}), ""}
}

// ServiceThing shows a service.
func ServiceThing(s schema.Service) Thing {
	return Thing{KindService, s.Name, uuid.Nil, document(struct {
		Name string `json:"name"`
	}{s.Name}), ""}
}

// MeterThing shows a meter.
func MeterThing(m schema.Meter) Thing {
	return Thing{KindMeter, m.Name, uuid.Nil, document(struct {
		Name       string   `json:"name"`
		Unit       string   `json:"unit"`
		UsageTypes []string `json:"usage_types"`
		Models     []string `json:"models"`
		StripeID   string   `json:"stripe_id"`
	}{
		m.Name, m.Unit.String(), append([]string{}, m.UsageTypes...),
		append([]string{}, m.Models...), m.StripeID,
	}), ""}
}

// CredentialThing shows everything of a credential that opens nothing.
func CredentialThing(k schema.Credential) Thing {
	return Thing{KindCredential, k.ID().String(), k.Organization, document(struct {
		ID                uuid.UUID  `json:"id"`
		Kind              string     `json:"kind"`
		Name              string     `json:"name"`
		Organization      uuid.UUID  `json:"organization_id"`
		User              *uuid.UUID `json:"user_id"`
		Agent             *uuid.UUID `json:"agent_id"`
		ExpiresAt         *time.Time `json:"expires_at"`
		RequestsPerMinute uint32     `json:"requests_per_minute"`
	}{
		k.ID(), nameOf(kinds, k.Kind), k.Name, k.Organization, orNull(k.User), orNull(k.Agent),
		orNever(k.ExpiresAt), k.RequestsPerMinute,
	}), ""}
}

// RateThing shows a rate.
func RateThing(r schema.Rate) Thing {
	key := r.Model + "\x00" + r.UsageType + "\x00" + r.From.UTC().Format(time.RFC3339Nano)
	return Thing{KindRate, r.ID.String(), uuid.Nil, document(struct {
		ID          uuid.UUID `json:"id"`
		Model       string    `json:"model"`
		UsageType   string    `json:"usage_type"`
		Provider    string    `json:"provider"`
		ProviderUSD string    `json:"provider_usd_per_million"`
		BilledUSD   string    `json:"billed_usd_per_million"`
		From        time.Time `json:"from"`
	}{
		r.ID, r.Model, r.UsageType, r.Provider,
		r.ProviderUSDPerMillion.String(), r.BilledUSDPerMillion.String(), r.From.UTC(),
	}), key}
}

// things returns what a catalog holds, in the order of its tables.
func things(c schema.Catalog) []Thing {
	var all []Thing
	for _, o := range c.Organizations {
		all = append(all, OrganizationThing(o))
		if !o.Stripe.IsZero() {
			all = append(all, StripeThing(o))
		}
	}
	all = appendThings(all, c.Users, UserThing)
	all = appendThings(all, c.Memberships, MembershipThing)
	all = appendThings(all, c.Agents, AgentThing)
	all = appendThings(all, c.Services, ServiceThing)
	all = appendThings(all, c.Meters, MeterThing)
	all = appendThings(all, c.Credentials, CredentialThing)
	return appendThings(all, c.Rates, RateThing)
}

func appendThings[T any](all []Thing, from []T, thing func(T) Thing) []Thing {
	for _, v := range from {
		all = append(all, thing(v))
	}
	return all
}

var roles = map[string]schema.Role{
	"member": schema.Member, "admin": schema.Admin, "superadmin": schema.Superadmin,
}

var kinds = map[string]schema.CredentialKind{
	"agent_secret": schema.AgentSecret, "login_token": schema.LoginToken,
	"app_password": schema.AppPassword, "access_token": schema.AccessToken,
}

func nameOf[T comparable](names map[string]T, value T) string {
	for name, v := range names {
		if v == value {
			return name
		}
	}
	return ""
}

// RoleNamed returns the role with a name; false when there is none.
func RoleNamed(name string) (schema.Role, bool) {
	role, ok := roles[name]
	return role, ok
}

// RoleName returns a role's name; empty when there is no such role.
func RoleName(role schema.Role) string { return nameOf(roles, role) }

// CredentialKindNamed returns the kind of credential with a name; false when there is none.
func CredentialKindNamed(name string) (schema.CredentialKind, bool) {
	kind, ok := kinds[name]
	return kind, ok
}

// EachOrganization returns every organization, in no order, as the others return theirs.
func (s *Snapshot) EachOrganization() iter.Seq[schema.Organization] {
	return maps.Values(s.organizations)
}

// EachUser returns every user.
func (s *Snapshot) EachUser() iter.Seq[schema.User] { return maps.Values(s.users) }

// EachMembership returns every membership, active or not.
func (s *Snapshot) EachMembership() iter.Seq[schema.Membership] {
	return maps.Values(s.memberships)
}

// EachAgent returns every agent.
func (s *Snapshot) EachAgent() iter.Seq[schema.Agent] { return maps.Values(s.agents) }

// EachService returns every service.
func (s *Snapshot) EachService() iter.Seq[schema.Service] { return maps.Values(s.services) }

// EachMeter returns every meter.
func (s *Snapshot) EachMeter() iter.Seq[schema.Meter] { return maps.Values(s.meters) }

// EachCredential returns every credential, expired or not.
func (s *Snapshot) EachCredential() iter.Seq[schema.Credential] {
	return maps.Values(s.credentials)
}

// EachRate returns every rate.
func (s *Snapshot) EachRate() iter.Seq[schema.Rate] {
	return func(yield func(schema.Rate) bool) {
		for _, rates := range s.rates {
			for _, r := range rates {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// Membership returns a user's membership in an organization, active or not.
func (s *Snapshot) Membership(organization, user uuid.UUID) (schema.Membership, bool) {
	m, ok := s.memberships[membershipKey{organization, user}]
	return m, ok
}
