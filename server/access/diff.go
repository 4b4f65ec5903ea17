package access

import (
	"fmt"
	"strings"

	"github.com/meterhouse/meterhouse/schema"
)

// Diff returns the rows of want that have lacks or holds otherwise. What only have holds is left
// alone: a file may be one of several.
func Diff(have *Snapshot, want schema.Catalog) schema.Catalog {
	return schema.Catalog{
		Organizations: changed(want.Organizations, func(o schema.Organization) bool {
			old, ok := have.organizations[o.ID]
			return ok && old == o
		}),
		Users: changed(want.Users, func(u schema.User) bool {
			old, ok := have.users[u.ID]
			return ok && old == u
		}),
		Memberships: changed(want.Memberships, func(m schema.Membership) bool {
			old, ok := have.memberships[membershipKey{m.Organization, m.User}]
			return ok && old == m
		}),
		Agents: changed(want.Agents, func(a schema.Agent) bool {
			old, ok := have.agents[a.ID]
			return ok && old == a
		}),
		Services: changed(want.Services, func(s schema.Service) bool {
			_, ok := have.services[s.Name]
			return ok
		}),
		Credentials: changed(want.Credentials, func(k schema.Credential) bool {
			old, ok := have.credentials[credentialKey{k.Kind, k.Hash}]
			return ok && old == k
		}),
		Rates: changed(want.Rates, func(r schema.Rate) bool {
			for _, old := range have.rates[rateKey{r.Model, r.UsageType}] {
				if old.ID == r.ID {
					return true
				}
			}
			return false
		}),
	}
}

// changed returns the elements that are not the same already, each once.
func changed[T comparable](all []T, same func(T) bool) []T {
	var out []T
	seen := make(map[T]bool)
	for _, v := range all {
		if !same(v) && !seen[v] {
			out = append(out, v)
			seen[v] = true
		}
	}
	return out
}

// Conflict returns why a change cannot be made beside what is there: an id, a tenant or a secret
// that belongs to another organization.
func Conflict(have *Snapshot, change schema.Catalog) error {
	for _, o := range change.Organizations {
		if id, ok := have.tenants[o.Tenant]; ok && o.Tenant != "" && id != o.ID {
			return fmt.Errorf("catalog: tenant %s belongs to organization %s", o.Tenant, id)
		}
	}
	for _, a := range change.Agents {
		if old, ok := have.agents[a.ID]; ok && old.Organization != a.Organization {
			return fmt.Errorf("catalog: agent %s belongs to organization %s",
				a.ID, old.Organization)
		}
	}
	for _, k := range change.Credentials {
		old, ok := have.credentials[credentialKey{k.Kind, k.Hash}]
		if ok && old.Organization != k.Organization {
			return fmt.Errorf("catalog: a credential of organization %s is in use by another",
				k.Organization)
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
