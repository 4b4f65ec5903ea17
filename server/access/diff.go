package access

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Diff returns the rows of want that have lacks or holds otherwise. What only have holds is left
// alone: a file may be one of several.
func Diff(have *Snapshot, want schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: changed(want.Organizations, have.organization),
		Users:         changed(want.Users, have.user),
		Memberships:   changed(want.Memberships, have.membership),
		Agents:        changed(want.Agents, have.agent),
		Services:      changed(want.Services, have.service),
		Credentials:   changed(want.Credentials, have.credential),
		Rates:         changed(want.Rates, have.rate),
	}
}

// changed returns the elements that are not there already as they are, each once.
func changed[T any](all []T, find func(T) (T, bool)) []T {
	var out []T
	seen := make(map[string]bool)
	for _, v := range all {
		if old, ok := find(v); ok && reflect.DeepEqual(old, v) || seen[fmt.Sprintf("%+v", v)] {
			continue
		}
		out = append(out, v)
		seen[fmt.Sprintf("%+v", v)] = true
	}
	return out
}

// counterparts returns the rows that a catalog's rows would take the place of.
func (s *Snapshot) counterparts(c schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: found(c.Organizations, s.organization),
		Users:         found(c.Users, s.user),
		Memberships:   found(c.Memberships, s.membership),
		Agents:        found(c.Agents, s.agent),
		Services:      found(c.Services, s.service),
		Credentials:   found(c.Credentials, s.credential),
		Rates:         found(c.Rates, s.rate),
	}
}

// missing returns a catalog's rows that would take nothing's place.
func (s *Snapshot) missing(c schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: absent(c.Organizations, s.organization),
		Users:         absent(c.Users, s.user),
		Memberships:   absent(c.Memberships, s.membership),
		Agents:        absent(c.Agents, s.agent),
		Services:      absent(c.Services, s.service),
		Credentials:   absent(c.Credentials, s.credential),
		Rates:         absent(c.Rates, s.rate),
	}
}

func found[T any](all []T, find func(T) (T, bool)) []T {
	var out []T
	seen := make(map[string]bool)
	for _, v := range all {
		if old, ok := find(v); ok && !seen[fmt.Sprintf("%+v", old)] {
			out = append(out, old)
			seen[fmt.Sprintf("%+v", old)] = true
		}
	}
	return out
}

func absent[T any](all []T, find func(T) (T, bool)) []T {
	var out []T
	for _, v := range all {
		if _, ok := find(v); !ok {
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

// Conflict returns why a change cannot be made beside what is there: an id, a tenant or a secret
// that belongs to another. The error is a schema.Conflict.
func Conflict(have *Snapshot, change schema.Catalog) error {
	if err := tenantConflict(have, change); err != nil {
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
	add(len(c.Credentials), "credentials")
	add(len(c.Rates), "rates")
	return strings.Join(parts, ", ")
}
