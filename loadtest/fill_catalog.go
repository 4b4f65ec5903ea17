package main

import (
	"bytes"
	"fmt"
)

// fillUsersNamed is how many of an organization's users the catalog names: the others are people
// whose usage is known and who never log in.
const fillUsersNamed = 20

// fillToken is the access token of the n-th organization's first user, who is an admin; that of the
// first organization a superadmin. They are public: a filled ledger is for measuring.
func fillToken(organization int) string { return fmt.Sprintf("dop_v1_fill_%d", organization) }

var fillKindNames = [fillKinds]string{
	fillInput: "INPUT", fillOutput: "OUTPUT", fillCached: "CACHED_INPUT", fillSeconds: "VAPI_SECONDS",
}

// catalog returns a catalog file with every organization and agent that has events, some of the
// users, the rates, and a token for each organization.
func (p *fillPlan) catalog() []byte {
	var b bytes.Buffer
	b.WriteString("# Made by `loadtest fill`: who has the events that it wrote. Its secrets are " +
		"public.\norganizations:\n")
	for i, o := range p.organizations {
		id := func(kind, n int) string { return p.config.fillID(kind, n) }
		fmt.Fprintf(&b, "  - id: %s\n    name: Fill %d\n    tenant: fill-%d.example\n    users:\n",
			id(fillOrganizationKind, i), i, i)
		owner := id(fillUserKind, o.users.first)
		for n := range min(o.users.count, fillUsersNamed) {
			role := "member"
			switch {
			case n == 0 && i == 0:
				role = "superadmin"
			case n == 0:
				role = "admin"
			}
			fmt.Fprintf(&b, "      - {id: %s, name: User %d, role: %s}\n",
				id(fillUserKind, o.users.first+n), n, role)
		}
		b.WriteString("    agents:\n")
		for n := range o.agents.count {
			fmt.Fprintf(&b, "      - {id: %s, name: Agent %d, owner: %s}\n",
				id(fillAgentKind, o.agents.first+n), n, owner)
		}
		b.WriteString("    credentials:\n")
		fmt.Fprintf(&b, "      - {kind: access_token, user: %s, secret: %s}\n", owner, fillToken(i))
		fmt.Fprintf(&b, "      - {kind: agent_secret, agent: %s, secret: fill-agent-secret-%d}\n",
			id(fillAgentKind, o.agents.first), i)
	}
	b.WriteString("services:\n  - {name: transcription}\n  - {name: log-insights}\n" +
		"text_model_costs:\n")
	for _, m := range p.models {
		for kind, name := range fillKindNames {
			if price := m.prices[kind]; price > 0 {
				fmt.Fprintf(&b, "  - {model: %s, usage_type: %s, provider: %s, "+
					"provider_usd_per_million: \"%s\", billed_usd_per_million: \"%s\", from: %s}\n",
					m.name, name, m.provider, dollars(price), dollars(price*13/10),
					p.from.Format("2006-01-02"))
			}
		}
	}
	return b.Bytes()
}

// dollars writes millionths.
func dollars(n int) string { return fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000) }
