package raia_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

func TestSuite(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{{
			Name:    "POST /external/resource-usage",
			Kinds:   []schema.CredentialKind{schema.AgentSecret},
			Request: report,
			Want:    201,
			Body: func(quantity, text string) string {
				return fmt.Sprintf(`{"type":"OPENAI_TOKENS","amount":%s,"note":%q}`, quantity, text)
			},
		}},
		Access:          rules,
		Unknown:         "/external/agents",
		Envelope:        envelope,
		Unauthenticated: 403,
		Rejected:        []int{400},
		BOM:             true,
	})
}

func report(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
	r := dialecttest.Request{
		Method: "POST", Path: "/external/resource-usage",
		Body: `{"type":"VAPI_SECONDS","amount":1.5}`,
	}
	if s.Text == "" {
		return r
	}
	return r.With("Agent-Secret-Key", s.Text)
}

// rules are who may report: an agent, by its own secret.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	member := h.Acme.Member.Secret(schema.AccessToken)
	bearer := report(dialecttest.Secret{}, h.Acme).With("Authorization", "Bearer "+member.Text)
	return []dialecttest.Access{
		{Who: "a member's agent", Request: report(h.Acme.MembersAgent.Secret(), h.Acme), Want: 201},
		{Who: "an admin's agent", Request: report(h.Acme.AdminsAgent.Secret(), h.Acme), Want: 201},
		{Who: "a member by bearer", Request: bearer, Want: 403},
		{Who: "an admin's token as a secret", Want: 403, Request: report(dialecttest.Secret{
			Kind: schema.AgentSecret, Text: h.Acme.Admin.AccessToken,
		}, h.Acme)},
		{Who: "nobody", Request: report(dialecttest.Secret{}, h.Acme), Want: 403},
	}
}

func envelope(r dialecttest.Response) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	want := []string{"status", "name", "message", "details"}
	if r.Status == 500 {
		want = []string{"status", "message"}
	}
	for _, name := range want {
		if members[name] == nil {
			return fmt.Errorf("no member %s", name)
		}
	}
	if len(members) != len(want) || string(members["status"]) != fmt.Sprint(r.Status) {
		return fmt.Errorf("not raia's envelope")
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
