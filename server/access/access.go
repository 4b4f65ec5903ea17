// Package access answers who is calling and what they may do, from one immutable snapshot of the
// catalog that is replaced as a whole when the catalog changes.
package access

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Caller is who a credential speaks for. Everything it reads or writes is its Organization's.
type Caller struct {
	Organization uuid.UUID
	User         uuid.UUID   // for an agent's secret: the agent's owner; zero when it has none
	Agent        uuid.UUID   // zero unless the credential is an agent's secret
	Role         schema.Role // of User in Organization; 0 for an agent's secret

	Credential uuid.UUID // schema.Credential.ID; zero for a JWT that no credential stands behind
	Allowance  Allowance // what is left of its rate limit after this request
}

// Allowance is where a credential stands with its rate limit.
type Allowance struct {
	Limit     int64     // requests in a window; 0: there is no limit
	Remaining int64     // of the window that runs
	Reset     time.Time // when the next window begins
}

// Snapshot is the catalog at one version, indexed for the questions of a request.
type Snapshot struct {
	version       uint64
	organizations map[uuid.UUID]schema.Organization
	tenants       map[string]uuid.UUID
	users         map[uuid.UUID]schema.User
	memberships   map[membershipKey]schema.Membership
	active        map[uuid.UUID][]schema.Membership // of each user, as Memberships returns them
	agents        map[uuid.UUID]schema.Agent
	agentNames    map[agentName]uuid.UUID // zero where several agents have the name
	services      map[string]schema.Service
	meters        map[string]schema.Meter
	credentials   map[credentialKey]schema.Credential
	rates         map[rateKey][]schema.Rate // descending by From
}

type membershipKey struct{ organization, user uuid.UUID }

type credentialKey struct {
	kind schema.CredentialKind
	hash schema.SecretHash
}

type rateKey struct{ model, usageType string }

// NewSnapshot indexes a catalog. It keeps no reference to c's slices; those of an organization's
// mapping and of a meter it shares, and nobody may change them.
func NewSnapshot(c schema.Catalog) *Snapshot {
	s := &Snapshot{
		version:       c.Version,
		organizations: make(map[uuid.UUID]schema.Organization, len(c.Organizations)),
		tenants:       make(map[string]uuid.UUID, len(c.Organizations)),
		users:         make(map[uuid.UUID]schema.User, len(c.Users)),
		memberships:   make(map[membershipKey]schema.Membership, len(c.Memberships)),
		active:        make(map[uuid.UUID][]schema.Membership, len(c.Users)),
		agents:        make(map[uuid.UUID]schema.Agent, len(c.Agents)),
		agentNames:    make(map[agentName]uuid.UUID, len(c.Agents)),
		services:      make(map[string]schema.Service, len(c.Services)),
		meters:        make(map[string]schema.Meter, len(c.Meters)),
		credentials:   make(map[credentialKey]schema.Credential, len(c.Credentials)),
		rates:         make(map[rateKey][]schema.Rate),
	}
	for _, o := range c.Organizations {
		s.organizations[o.ID] = o
		if o.Tenant != "" {
			s.tenants[o.Tenant] = o.ID
		}
	}
	for _, u := range c.Users {
		s.users[u.ID] = u
	}
	for _, m := range c.Memberships {
		s.memberships[membershipKey{m.Organization, m.User}] = m
		if _, ok := s.organizations[m.Organization]; ok && m.Active {
			s.active[m.User] = append(s.active[m.User], m)
		}
	}
	for _, all := range s.active {
		slices.SortFunc(all, func(a, b schema.Membership) int {
			return bytes.Compare(a.Organization[:], b.Organization[:])
		})
	}
	for _, a := range c.Agents {
		s.agents[a.ID] = a
		s.nameAgent(a)
	}
	for _, v := range c.Services {
		s.services[v.Name] = v
	}
	for _, m := range c.Meters {
		s.meters[m.Name] = m
	}
	for _, k := range c.Credentials {
		s.credentials[credentialKey{k.Kind, k.Hash}] = k
	}
	for _, r := range c.Rates {
		key := rateKey{r.Model, r.UsageType}
		s.rates[key] = append(s.rates[key], r)
	}
	for _, rates := range s.rates {
		sort.Slice(rates, func(i, j int) bool { return rates[i].From.After(rates[j].From) })
	}
	return s
}

// Version returns the version of the catalog the snapshot was made from.
func (s *Snapshot) Version() uint64 { return s.version }

// Caller returns who presents a secret as one of the kinds; false when nobody does, when the
// agent, the user or the organization is gone, or when the user is no active member of it. It names
// no credential and looks at no clock: whether one has expired or is over its limit, a Directory
// says.
func (s *Snapshot) Caller(secret string, kinds ...schema.CredentialKind) (Caller, bool) {
	hash := schema.HashSecret(secret)
	for _, kind := range kinds {
		if k, ok := s.credentials[credentialKey{kind, hash}]; ok {
			return s.callerOf(k)
		}
	}
	return Caller{}, false
}

func (s *Snapshot) callerOf(k schema.Credential) (Caller, bool) {
	if _, ok := s.organizations[k.Organization]; !ok {
		return Caller{}, false
	}
	if k.Kind == schema.AgentSecret {
		agent, ok := s.agents[k.Agent]
		if !ok || agent.Organization != k.Organization {
			return Caller{}, false
		}
		return Caller{Organization: k.Organization, User: agent.Owner, Agent: agent.ID}, true
	}
	role := s.Role(k.Organization, k.User)
	if _, ok := s.users[k.User]; !ok || role == 0 {
		return Caller{}, false
	}
	return Caller{Organization: k.Organization, User: k.User, Role: role}, true
}

// Role returns a user's role in an organization; 0 when the user is no active member.
func (s *Snapshot) Role(organization, user uuid.UUID) schema.Role {
	m := s.memberships[membershipKey{organization, user}]
	if !m.Active {
		return 0
	}
	return m.Role
}

// Memberships returns a user's active memberships in organizations that are there, ordered by the
// organization's id. The slice is the snapshot's own.
func (s *Snapshot) Memberships(user uuid.UUID) []schema.Membership { return s.active[user] }

// Organization returns an organization by id.
func (s *Snapshot) Organization(id uuid.UUID) (schema.Organization, bool) {
	o, ok := s.organizations[id]
	return o, ok
}

// Tenant returns the organization with a public name.
func (s *Snapshot) Tenant(name string) (schema.Organization, bool) {
	id, ok := s.tenants[name]
	if !ok {
		return schema.Organization{}, false
	}
	return s.Organization(id)
}

// User returns a user by id.
func (s *Snapshot) User(id uuid.UUID) (schema.User, bool) {
	u, ok := s.users[id]
	return u, ok
}

// Agent returns an agent by id, whatever its organization: the caller compares.
func (s *Snapshot) Agent(id uuid.UUID) (schema.Agent, bool) {
	a, ok := s.agents[id]
	return a, ok
}

// Service returns a service by name.
func (s *Snapshot) Service(name string) (schema.Service, bool) {
	v, ok := s.services[name]
	return v, ok
}

// Meter returns a meter by name.
func (s *Snapshot) Meter(name string) (schema.Meter, bool) {
	m, ok := s.meters[name]
	return m, ok
}

// Rate returns the rate of a model's usage type in force at a moment: the newest whose From is
// not after it. False when there is none: the measurement is unpriced.
func (s *Snapshot) Rate(model, usageType string, at time.Time) (schema.Rate, bool) {
	for _, r := range s.rates[rateKey{model, usageType}] {
		if !r.From.After(at) {
			return r, true
		}
	}
	return schema.Rate{}, false
}
