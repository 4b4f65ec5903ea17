package queries_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

func exampleCatalog(t *testing.T) schema.Catalog {
	t.Helper()
	rate := schema.Rate{
		Model: "gpt-4o-mini", UsageType: schema.Input, Provider: "OpenAI",
		ProviderUSDPerMillion: usd(t, "0.15"), BilledUSDPerMillion: usd(t, "0.195"),
		From: at(t, "2024-07-18T00:00:00.000001Z"),
	}
	rate.ID = schema.RateID(rate)
	return schema.Catalog{
		Organizations: []schema.Organization{{
			ID: named("acme"), Name: hostile, Tenant: "www.acme.example",
			Stripe: schema.StripeMapping{
				Customer: "cus_1", Meter: "m", SubscriptionItem: "si",
				Meters: []schema.MeterMapping{
					{Meter: "voice_seconds", SubscriptionItem: "si_2"}, {Meter: hostile},
				},
				Since: at(t, "2026-11-01T01:00:00Z"),
			},

			EventsPerMinute: 4_000_000_000,
		}},
		Users: []schema.User{{ID: named("ada"), Name: "Ada", Email: "ada@acme.example"}},
		Memberships: []schema.Membership{{
			Organization: named("acme"), User: named("ada"), Role: schema.Admin, Active: true,
		}},
		Agents: []schema.Agent{{
			ID: named("agent"), Organization: named("acme"), Name: "Helper", Owner: named("ada"),
		}},
		Services: []schema.Service{{Name: "transcription"}},
		Meters: []schema.Meter{
			{Name: "usage_micro_usd"},
			{
				Name: "voice_seconds", Unit: schema.WholeUnits,
				UsageTypes: []string{"VAPI_SECONDS", "X"}, Models: []string{hostile, "gpt-*"},
				StripeID: "mtr_1",
			},
		},
		Credentials: []schema.Credential{
			{
				Kind: schema.AgentSecret, Hash: schema.HashSecret("a"),
				Organization: named("acme"), Agent: named("agent"),
			},
			{
				Kind: schema.AppPassword, Hash: schema.HashSecret("b"),
				Organization: named("acme"), User: named("ada"), Name: hostile,
				ExpiresAt: at(t, "2027-01-01T00:00:00.000001Z"), RequestsPerMinute: 4_000_000_000,
			},
		},
		Rates: []schema.Rate{rate},
	}
}

func TestCatalogReadsBackAsSaved(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	check := func(want schema.Catalog) {
		t.Helper()
		got, err := q.LoadCatalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(schema.USD{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	billed := func(want schema.Catalog) {
		t.Helper()
		organizations, meters, err := q.Billed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := schema.Catalog{Organizations: organizations, Meters: meters}
		want = schema.Catalog{Organizations: want.Organizations, Meters: want.Meters}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("billed (-want +got):\n%s", diff)
		}
	}
	save := func(c schema.CatalogChange) {
		t.Helper()
		c.At, c.Actor, c.Summary = time.UnixMicro(1_800_000_000_000_001), "ada", hostile
		if err := q.SaveCatalog(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	check(schema.Catalog{})

	want := exampleCatalog(t)
	want.Version = 41
	for range 2 { // saving again changes nothing
		save(schema.CatalogChange{Upsert: want, Version: 41})
		check(want)
		billed(want)
	}

	want.Users[0].Name = "Ada Lovelace"
	retired := want.Credentials[1]
	want.Credentials = want.Credentials[:1]
	gone := want.Meters[0]
	want.Meters = want.Meters[1:]
	want.Organizations[0].Stripe = schema.StripeMapping{}
	want.Version = 42
	save(schema.CatalogChange{
		Upsert: schema.Catalog{Users: want.Users, Organizations: want.Organizations},
		Retire: schema.Catalog{
			Credentials: []schema.Credential{retired}, Meters: []schema.Meter{gone},
		},
		Version: 42,
	})
	check(want)
	billed(want)

	if v, err := q.CatalogVersion(t.Context()); err != nil || v != 42 {
		t.Errorf("CatalogVersion = %d, %v, want 42", v, err)
	}
	if err := q.SaveCatalog(t.Context(), schema.CatalogChange{}); err == nil {
		t.Error("a change without a version was saved")
	}
}

// hostile is text that breaks whoever splits, quotes or ends strings by hand.
const hostile = "a'b\"c\\d\te\nf\rg\x00h`i{j:String}k?l$1m;--n\u2028😀"
