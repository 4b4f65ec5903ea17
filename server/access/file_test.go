package access

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

const goodFile = `
organizations:
  - id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Acme
    tenant: www.acme.example
    stripe:
      {customer: cus_123, meter: usage_micro_usd, subscription_item: si_123, since: 2026-11-01,
       meters: [{meter: voice_seconds, subscription_item: si_456}, {meter: claude}]}
    users:
      - {id: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Ada, role: superadmin}
    agents:
      - {id: 12345678-1234-4234-8234-123456789012, name: Helper, owner: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11}
    credentials:
      - {kind: agent_secret, agent: 12345678-1234-4234-8234-123456789012, secret: agent-secret-1}
      - {kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_ada}
services:
  - {name: transcription}
meters:
  - {name: voice_seconds, unit: quantity, usage_types: [VAPI_SECONDS], stripe_id: mtr_1}
  - {name: claude, models: [claude-*, sonnet]}
text_model_costs:
  - {model: gpt-4o-mini, usage_type: INPUT, provider: OpenAI, provider_usd_per_million: "0.15", billed_usd_per_million: "0.195", from: 2024-07-18}
`

func TestFileBecomesACatalog(t *testing.T) {
	c, err := ParseFile(strings.NewReader(goodFile))
	if err != nil {
		t.Fatal(err)
	}
	s := NewSnapshot(c)
	if caller, ok := s.Caller("agent-secret-1", schema.AgentSecret); !ok ||
		caller != (Caller{Organization: acme, User: ada, Agent: helper}) {
		t.Errorf("caller %+v, %v", caller, ok)
	}
	if caller, ok := s.Caller("dop_v1_ada", schema.AccessToken); !ok ||
		caller != (Caller{Organization: acme, User: ada, Role: schema.Superadmin}) {
		t.Errorf("caller %+v, %v", caller, ok)
	}
	o, ok := s.Tenant("www.acme.example")
	want := schema.StripeMapping{
		Customer: "cus_123", Meter: "usage_micro_usd", SubscriptionItem: "si_123",
		Meters: []schema.MeterMapping{
			{Meter: "voice_seconds", SubscriptionItem: "si_456"}, {Meter: "claude"},
		},
		Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	if !ok || !o.Stripe.Equal(want) {
		t.Errorf("organization %+v, %v", o, ok)
	}
	meters := []schema.Meter{
		{
			Name: "voice_seconds", Unit: schema.WholeUnits,
			UsageTypes: []string{"VAPI_SECONDS"}, StripeID: "mtr_1",
		},
		{Name: "claude", Models: []string{"claude-*", "sonnet"}},
	}
	if diff := cmp.Diff(meters, c.Meters); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
	rate := c.Rates[0]
	got := []string{
		rate.ProviderUSDPerMillion.String(), rate.BilledUSDPerMillion.String(), rate.From.String(),
	}
	if diff := cmp.Diff([]string{"0.15", "0.195", "2024-07-18 00:00:00 +0000 UTC"}, got); diff != "" {
		t.Errorf("rate (-want +got):\n%s", diff)
	}
}

func TestHashInFileIsTheSecret(t *testing.T) {
	const sum = "sha256:c1ea01dfbf0ce6f3c7c2ff3ca1a0c49ebbf7cf6e5b2cb1f0dfb1c9b7e0f2c3d4"
	c, err := ParseFile(strings.NewReader(strings.Replace(goodFile, "dop_v1_ada", sum, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Credentials[1].Hash; h[0] != 0xc1 || h[31] != 0xd4 {
		t.Errorf("hash %x", h)
	}
}

func TestEveryMistakeOfAFileIsNamed(t *testing.T) {
	f := func(from, to string, want ...string) {
		t.Helper()
		text := strings.Replace(goodFile, from, to, 1)
		if text == goodFile {
			t.Fatalf("%q is not in the file", from)
		}
		_, err := ParseFile(strings.NewReader(text))
		if err == nil {
			t.Errorf("%q for %q was accepted", to, from)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q for %q: error %q does not say %q", to, from, err, w)
			}
		}
		if strings.Contains(err.Error(), "agent-secret-1") || strings.Contains(err.Error(), "dop_v1_") {
			t.Errorf("the error shows a secret: %q", err)
		}
	}
	f("id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55", "id: 12", "organizations[0].id")
	f("name: Acme", "nam: Acme", "nam")
	f("role: superadmin", "role: root", "users[0].role", "superadmin, admin or member")
	f("owner: 7b0e", "owner: 8b0e", "agents[0].owner")
	f("kind: agent_secret", "kind: secret", "credentials[0].kind")
	f("agent: 12345678", "agent: 22345678", "credentials[0].agent")
	f("user: 7b0e", "agent: 7b0e", "credentials[1].user", "credentials[1].agent")
	f("secret: agent-secret-1", "secret: short", "credentials[0].secret", "8 characters")
	f("secret: agent-secret-1", "secret: sha256:12", "credentials[0].secret", "64")
	f("usage_type: INPUT", "usage_type: input", "text_model_costs[0].usage_type")
	f(`"0.15"`, `"1,5"`, "provider_usd_per_million", "decimal")
	f(`"0.15"`, `"-1"`, "provider_usd_per_million", "negative")
	f("from: 2024-07-18", "from: yesterday", "text_model_costs[0].from")
	f("name: transcription", `name: ""`, "services[0].name")
	f("organizations:", "organisations:", "organisations")
	f("unit: quantity", "unit: seconds", "meters[0].unit", "micro_usd or quantity")
	f("name: claude", "name: voice_seconds", "meter name", "given twice")
	f("name: claude", "name: a/b", "meters[1].name", "letters")
	f("name: claude", "name: "+strings.Repeat("x", 101), "meters[1].name", "1 to 100")
	f("name: claude, ", "", "meters[1].name")
	f("[VAPI_SECONDS]", "[INPUT, vapi]", "meters[0].usage_types[1]", "upper-case")
	f("[VAPI_SECONDS]", "[INPUT, INPUT]", "meters[0].usage_types[1]", "twice")
	f("[VAPI_SECONDS]", "[A"+strings.Repeat(", A", 100)+"]", "meters[0].usage_types", "at most 100")
	f("claude-*", `"cl*ude"`, "meters[1].models[0]", "at its end")
	f("claude-*", `""`, "meters[1].models[0]", "empty")
	f("claude-*", `"\x01"`, "meters[1].models[0]", "control")
	f("mtr_1", "mtr/1", "meters[0].stripe_id")
	const stripe = "organizations[0].stripe"
	f("since: 2026-11-01", "since: soon", stripe+".since", "a date")
	f("since: 2026-11-01", `since: "2026-11-01T00:30:00Z"`, stripe+".since", "whole hour")
	f("since: 2026-11-01", "since: 2106-01-01", stripe+".since", "to 2105")
	f("{meter: claude}", "{meter: voice_seconds}", stripe+".meters[1].meter", "twice")
	f("{meter: claude}", "{meter: usage_micro_usd}", stripe+".meters[1].meter", "twice")
	f("{meter: claude}", "{meter: ''}", stripe+".meters[1].meter")
	f("{meter: claude}", "claude", "line 8", "claude")
	f("si_456", "si_123", stripe+".meters[0].subscription_item", "twice")
	f("si_456", "si/456", stripe+".meters[0].subscription_item")
	f("customer: cus_123, ", "", stripe+".customer", "missing")
	f("{meter: claude}]", strings.Repeat("{meter: m}, ", 20)+"]", stripe+".meters", "at most 20")
	const twin = "\n  - {id: 1c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55, name: Twin, stripe: "
	f("\nservices:", twin+"{customer: cus_123, meter: claude}}\nservices:",
		"organizations[1].stripe.meter", acme.String())
	f("\nservices:", twin+"{customer: cus_1, meter: claude, subscription_item: si_456}}\nservices:",
		"organizations[1].stripe.subscription_item", acme.String())
	f("  - {name: transcription}", "  - {name: a}\n  - {name: a}", "given twice")
	f("kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_ada",
		"kind: agent_secret, agent: 12345678-1234-4234-8234-123456789012, secret: agent-secret-1",
		"same secret")
	f("organizations:", "\torganizations:", "catalog")
	// Several at once are told at once.
	f("name: Ada, role: superadmin", "name: '', role: x", "users[0].name", "users[0].role")
}

func FuzzParseFile(f *testing.F) {
	f.Add(goodFile)
	f.Add("organizations: [{}]")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseFile(strings.NewReader(text))
		if err != nil {
			return
		}
		if s := Summary(Diff(NewSnapshot(c), c)); s != "" {
			t.Errorf("an accepted catalog differs from itself in %s", s)
		}
	})
}
