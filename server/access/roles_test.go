package access

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

func TestHighestRoleOfAnyOrganization(t *testing.T) {
	retired := uuid.MustParse("2c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55") // not among the organizations
	f := func(want schema.Role, all ...schema.Membership) {
		t.Helper()
		c := schema.Catalog{Organizations: []schema.Organization{{ID: acme}, {ID: globex}}}
		for _, m := range all {
			m.User = ada
			c.Memberships = append(c.Memberships, m)
		}
		c.Memberships = append(c.Memberships, schema.Membership{
			Organization: acme, User: ben, Role: schema.Superadmin, Active: true,
		})
		if got := NewSnapshot(c).HighestRole(ada); got != want {
			t.Errorf("%+v: role %d, want %d", all, got, want)
		}
	}
	in := func(organization uuid.UUID, role schema.Role, active bool) schema.Membership {
		return schema.Membership{Organization: organization, Role: role, Active: active}
	}
	f(0)
	f(schema.Member, in(acme, schema.Member, true))
	f(schema.Superadmin, in(acme, schema.Member, true), in(globex, schema.Superadmin, true))
	f(schema.Superadmin, in(acme, schema.Superadmin, true), in(globex, schema.Admin, true))
	f(schema.Admin, in(acme, schema.Admin, true), in(globex, schema.Superadmin, false))
	f(schema.Member, in(acme, schema.Member, true), in(retired, schema.Superadmin, true))
	f(0, in(acme, schema.Superadmin, false))
}

func TestHasRatesOfAnyUsageType(t *testing.T) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := NewSnapshot(schema.Catalog{Rates: []schema.Rate{
		{Model: "chat", UsageType: schema.Output, From: from},
		{Model: "voice", UsageType: schema.VapiSeconds, From: from},
		{Model: "voice", UsageType: schema.VapiSeconds, From: from.AddDate(0, 1, 0)},
	}})
	f := func(model string, at time.Time, want bool) {
		t.Helper()
		if got := s.HasRates(model, at); got != want {
			t.Errorf("%s at %s: %v", model, at, got)
		}
	}
	for _, model := range []string{"chat", "voice"} {
		f(model, from.Add(-time.Microsecond), false)
		f(model, from, true)
		f(model, from.AddDate(1, 0, 0), true)
	}
	f("", from, false)
	f("other", from, false)
}
