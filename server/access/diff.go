package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// kindOf is how rows of one kind are told apart.
type kindOf[T any] struct {
	find func(*Snapshot, T) (T, bool) // the row that it would take the place of
	key  func(T) any                  // what it has in common with that one
	same func(a, b T) bool
}

// compared is a kind whose rows are the same when they are equal.
func compared[T comparable](
	find func(*Snapshot, T) (T, bool), key func(T) any,
) kindOf[T] {
	return kindOf[T]{find, key, func(a, b T) bool { return a == b }}
}

var (
	organizationKind = kindOf[schema.Organization]{
		find: (*Snapshot).organization,
		key:  func(o schema.Organization) any { return o.ID },
		same: func(a, b schema.Organization) bool {
			return a.ID == b.ID && a.Name == b.Name && a.Tenant == b.Tenant &&
				a.EventsPerMinute == b.EventsPerMinute && a.RetentionDays == b.RetentionDays &&
				a.Stripe.Equal(b.Stripe)
		},
	}
	userKind = compared((*Snapshot).user, func(u schema.User) any { return u.ID })

	membershipKind = compared((*Snapshot).membership, func(m schema.Membership) any {
		return membershipKey{m.Organization, m.User}
	})
	agentKind   = compared((*Snapshot).agent, func(a schema.Agent) any { return a.ID })
	serviceKind = compared((*Snapshot).service, func(v schema.Service) any { return v.Name })

	meterKind = kindOf[schema.Meter]{
		find: (*Snapshot).meter,
		key:  func(m schema.Meter) any { return m.Name },
		same: func(a, b schema.Meter) bool {
			return a.Name == b.Name && a.Unit == b.Unit && a.StripeID == b.StripeID &&
				slices.Equal(a.UsageTypes, b.UsageTypes) && slices.Equal(a.Models, b.Models)
		},
	}
	credentialKind = compared((*Snapshot).credential, func(k schema.Credential) any {
		return credentialKey{k.Kind, k.Hash}
	})
	rateKind = compared((*Snapshot).rate, func(r schema.Rate) any {
		return [3]any{r.Model, r.UsageType, r.From.UnixMicro()}
	})
)

// Diff returns the rows of want that have lacks or holds otherwise. What only have holds is left
// alone: a file may be one of several.
func Diff(have *Snapshot, want schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: changed(have, want.Organizations, organizationKind),
		Users:         changed(have, want.Users, userKind),
		Memberships:   changed(have, want.Memberships, membershipKind),
		Agents:        changed(have, want.Agents, agentKind),
		Services:      changed(have, want.Services, serviceKind),
		Meters:        changed(have, want.Meters, meterKind),
		Credentials:   changed(have, want.Credentials, credentialKind),
		Rates:         changed(have, want.Rates, rateKind),
	}
}

// changed returns the rows that are not there already as they are, each once.
func changed[T any](have *Snapshot, all []T, kind kindOf[T]) []T {
	var out []T
	seen := make(map[any]T)
	for _, v := range all {
		if old, ok := kind.find(have, v); ok && kind.same(old, v) {
			continue
		}
		key := kind.key(v)
		if before, ok := seen[key]; ok && kind.same(before, v) {
			continue
		}
		out = append(out, v)
		seen[key] = v
	}
	return out
}

// counterparts returns the rows that a catalog's rows would take the place of.
func (s *Snapshot) counterparts(c schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: found(s, c.Organizations, organizationKind),
		Users:         found(s, c.Users, userKind),
		Memberships:   found(s, c.Memberships, membershipKind),
		Agents:        found(s, c.Agents, agentKind),
		Services:      found(s, c.Services, serviceKind),
		Meters:        found(s, c.Meters, meterKind),
		Credentials:   found(s, c.Credentials, credentialKind),
		Rates:         found(s, c.Rates, rateKind),
	}
}

// missing returns a catalog's rows that would take nothing's place.
func (s *Snapshot) missing(c schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: absent(s, c.Organizations, organizationKind),
		Users:         absent(s, c.Users, userKind),
		Memberships:   absent(s, c.Memberships, membershipKind),
		Agents:        absent(s, c.Agents, agentKind),
		Services:      absent(s, c.Services, serviceKind),
		Meters:        absent(s, c.Meters, meterKind),
		Credentials:   absent(s, c.Credentials, credentialKind),
		Rates:         absent(s, c.Rates, rateKind),
	}
}

func found[T any](s *Snapshot, all []T, kind kindOf[T]) []T {
	var out []T
	seen := make(map[any]bool)
	for _, v := range all {
		old, ok := kind.find(s, v)
		if key := kind.key(v); ok && !seen[key] {
			out = append(out, old)
			seen[key] = true
		}
	}
	return out
}

func absent[T any](s *Snapshot, all []T, kind kindOf[T]) []T {
	var out []T
	for _, v := range all {
		if _, ok := kind.find(s, v); !ok {
			out = append(out, v)
		}
	}
	return out
}

// These find the row that another one, by its key, would take the place of.

func (s *Snapshot) organization(o schema.Organization) (schema.Organization, bool) {
	old, ok := s.organizations[o.ID]
	return old, ok
}

func (s *Snapshot) user(u schema.User) (schema.User, bool) {
	old, ok := s.users[u.ID]
	return old, ok
}

func (s *Snapshot) membership(m schema.Membership) (schema.Membership, bool) {
	return s.Membership(m.Organization, m.User)
}

func (s *Snapshot) agent(a schema.Agent) (schema.Agent, bool) {
	old, ok := s.agents[a.ID]
	return old, ok
}

func (s *Snapshot) service(v schema.Service) (schema.Service, bool) {
	old, ok := s.services[v.Name]
	return old, ok
}

func (s *Snapshot) meter(m schema.Meter) (schema.Meter, bool) {
	old, ok := s.meters[m.Name]
	return old, ok
}

func (s *Snapshot) credential(k schema.Credential) (schema.Credential, bool) {
	old, ok := s.credentials[credentialKey{k.Kind, k.Hash}]
	if ok && old.ExpiresAt.Equal(k.ExpiresAt) {
		old.ExpiresAt = k.ExpiresAt // one instant is written in several ways
	}
	return old, ok
}

func (s *Snapshot) rate(r schema.Rate) (schema.Rate, bool) {
	for _, old := range s.rates[rateKey{r.Model, r.UsageType}] {
		if old.From.Equal(r.From) {
			old.From = r.From
			return old, true
		}
	}
	return schema.Rate{}, false
}

// Conflict returns why a change cannot be made beside what is there: an id, a tenant, a secret, or a
// meter of a customer that belongs to another, or a meter that is in use otherwise. The error is a
// schema.Conflict.
func Conflict(have *Snapshot, c Change) error {
	change := c.Upsert
	if err := tenantConflict(have, change); err != nil {
		return err
	}
	if err := meterConflict(have, c); err != nil {
		return err
	}
	for _, a := range change.Agents {
		if old, ok := have.agents[a.ID]; ok && old.Organization != a.Organization {
			return schema.Errorf(schema.Conflict, "id",
				"agent %s belongs to another organization", a.ID)
		}
	}
	for _, k := range change.Credentials {
		if err := secretConflict(have, k); err != nil {
			return err
		}
	}
	return nil
}

// tenantConflict looks at the organizations as they will be: two may exchange their tenants.
func tenantConflict(have *Snapshot, change schema.Catalog) error {
	moving := make(map[uuid.UUID]bool, len(change.Organizations))
	for _, o := range change.Organizations {
		moving[o.ID] = true
	}
	taken := make(map[string]uuid.UUID, len(change.Organizations))
	for _, o := range change.Organizations {
		if o.Tenant == "" {
			continue
		}
		owner, ok := have.tenants[o.Tenant]
		if !ok || moving[owner] {
			owner, ok = taken[o.Tenant]
		}
		if ok && owner != o.ID {
			return schema.Errorf(schema.Conflict, "tenant",
				"%s belongs to another organization", o.Tenant)
		}
		taken[o.Tenant] = o.ID
	}
	return nil
}

// secretConflict refuses a secret that speaks for somebody else, as whatever kind: bearers are
// looked up as several.
func secretConflict(have *Snapshot, k schema.Credential) error {
	for _, kind := range kinds {
		old, ok := have.credentials[credentialKey{kind, k.Hash}]
		same := old.User == k.User && old.Agent == k.Agent
		if ok && (old.Organization != k.Organization || kind != k.Kind && !same) {
			return schema.Errorf(schema.Conflict, "secret", "is in use: choose another")
		}
	}
	return nil
}

// Summary says what a change holds, for the log and the record of changes.
func Summary(c schema.Catalog) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(len(c.Organizations), "organizations")
	add(len(c.Users), "users")
	add(len(c.Memberships), "memberships")
	add(len(c.Agents), "agents")
	add(len(c.Services), "services")
	add(len(c.Meters), "meters")
	add(len(c.Credentials), "credentials")
	add(len(c.Rates), "rates")
	return strings.Join(parts, ", ")
}
