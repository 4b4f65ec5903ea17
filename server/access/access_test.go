package access

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var (
	acme   = uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	globex = uuid.MustParse("1c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	ada    = uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	ben    = uuid.MustParse("8b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11")
	helper = uuid.MustParse("12345678-1234-4234-8234-123456789012")
)

func testCatalog() schema.Catalog {
	return schema.Catalog{
		Version:       7,
		Organizations: []schema.Organization{{ID: acme, Name: "Acme", Tenant: "acme.example"}},
		Users:         []schema.User{{ID: ada, Name: "Ada"}, {ID: ben, Name: "Ben"}},
		Memberships: []schema.Membership{
			{Organization: acme, User: ada, Role: schema.Superadmin, Active: true},
			{Organization: acme, User: ben, Role: schema.Member, Active: false},
		},
		Agents: []schema.Agent{{ID: helper, Organization: acme, Name: "Helper", Owner: ada}},
		Credentials: []schema.Credential{
			credential(schema.AgentSecret, acme, uuid.Nil, helper, "agent-secret"),
			credential(schema.AccessToken, acme, ada, uuid.Nil, "ada-token"),
			credential(schema.LoginToken, acme, ada, uuid.Nil, "ada-login"),
			credential(schema.AccessToken, acme, ben, uuid.Nil, "ben-token"),
			credential(schema.AgentSecret, acme, uuid.Nil, ben, "secret-of-no-agent"),
			credential(schema.AgentSecret, globex, uuid.Nil, helper, "secret-of-another"),
			credential(schema.AccessToken, globex, ada, uuid.Nil, "token-of-no-organization"),
		},
	}
}

func credential(
	kind schema.CredentialKind, organization, user, agent uuid.UUID, secret string,
) schema.Credential {
	return schema.Credential{
		Hash: schema.HashSecret(secret), Kind: kind,
		Organization: organization, User: user, Agent: agent,
	}
}

func TestCallerOfASecret(t *testing.T) {
	s := NewSnapshot(testCatalog())
	f := func(secret string, want *Caller, kinds ...schema.CredentialKind) {
		t.Helper()
		got, ok := s.Caller(secret, kinds...)
		switch {
		case want == nil && ok:
			t.Errorf("%s: speaks for %+v, want nobody", secret, got)
		case want != nil && (!ok || got != *want):
			t.Errorf("%s: speaks for %+v (%v), want %+v", secret, got, ok, *want)
		}
	}
	asAda := &Caller{Organization: acme, User: ada, Role: schema.Superadmin}
	f("agent-secret", &Caller{Organization: acme, User: ada, Agent: helper}, schema.AgentSecret)
	f("ada-token", asAda, schema.AppPassword, schema.AccessToken)
	f("ada-login", asAda, schema.LoginToken)
	f("ada-token", nil, schema.LoginToken, schema.AgentSecret) // a secret has one kind
	f("ada-toke", nil, schema.AccessToken)
	f("", nil, schema.AccessToken)
	f("ben-token", nil, schema.AccessToken)          // his membership is not active
	f("secret-of-no-agent", nil, schema.AgentSecret) // its agent is gone
	f("secret-of-another", nil, schema.AgentSecret)  // its agent is another organization's
	f("token-of-no-organization", nil, schema.AccessToken)
}

func TestRateInForce(t *testing.T) {
	from := func(month time.Month) time.Time { return time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC) }
	s := NewSnapshot(schema.Catalog{Rates: []schema.Rate{
		{ID: uuid.UUID{1}, Model: "m", UsageType: schema.Input, From: from(1)},
		{ID: uuid.UUID{3}, Model: "m", UsageType: schema.Input, From: from(3)},
		{ID: uuid.UUID{2}, Model: "m", UsageType: schema.Input, From: from(2)},
	}})
	f := func(model, usageType string, at time.Time, want byte) {
		t.Helper()
		rate, ok := s.Rate(model, usageType, at)
		if ok != (want != 0) || rate.ID[0] != want {
			t.Errorf("%s %s at %s: rate %d (%v), want %d", model, usageType, at, rate.ID[0], ok, want)
		}
	}
	f("m", schema.Input, from(1).Add(-time.Microsecond), 0)
	f("m", schema.Input, from(1), 1)
	f("m", schema.Input, from(2).Add(-time.Microsecond), 1)
	f("m", schema.Input, from(2), 2)
	f("m", schema.Input, from(12), 3)
	f("m", schema.Output, from(12), 0)
	f("other", schema.Input, from(12), 0)
}

func TestDiffOfTheSameIsEmpty(t *testing.T) {
	c := testCatalog()
	if s := Summary(Diff(NewSnapshot(c), c)); s != "" {
		t.Errorf("a catalog differs from itself in %s", s)
	}
	change := c
	change.Agents = append([]schema.Agent(nil), c.Agents...)
	change.Agents[0].Name = "Renamed"
	change.Services = []schema.Service{{Name: "transcription"}}
	if s := Summary(Diff(NewSnapshot(c), change)); s != "1 agents, 1 services" {
		t.Errorf("difference %q", s)
	}
}

func TestConflictsBetweenOrganizations(t *testing.T) {
	have := NewSnapshot(testCatalog())
	f := func(change schema.Catalog, want bool) {
		t.Helper()
		if err := Conflict(have, Change{Upsert: change}); (err != nil) != want {
			t.Errorf("conflict %v, want one: %v", err, want)
		}
	}
	f(testCatalog(), false)
	f(schema.Catalog{Organizations: []schema.Organization{
		{ID: globex, Tenant: "acme.example"}}}, true)
	f(schema.Catalog{Agents: []schema.Agent{{ID: helper, Organization: globex}}}, true)
	f(schema.Catalog{Credentials: []schema.Credential{
		credential(schema.AccessToken, globex, ada, uuid.Nil, "ada-token")}}, true)
}
