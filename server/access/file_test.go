package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

const goodFile = `
organizations:
  - id: 0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55
    name: Acme
    tenant: www.acme.example
    stripe: {customer: cus_123, meter: usage_micro_usd, subscription_item: si_123}
    users:
      - {id: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, name: Ada, role: superadmin}
    agents:
      - {id: 12345678-1234-4234-8234-123456789012, name: Helper, owner: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11}
    credentials:
      - {kind: agent_secret, agent: 12345678-1234-4234-8234-123456789012, secret: agent-secret-1}
      - {kind: access_token, user: 7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11, secret: dop_v1_ada}
services:
  - {name: transcription}
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
	}
	if !ok || !o.Stripe.Equal(want) {
		t.Errorf("organization %+v, %v", o, ok)
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
