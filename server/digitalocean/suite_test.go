package digitalocean_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

var bearers = []schema.CredentialKind{schema.AccessToken, schema.AppPassword}

func TestSuite(t *testing.T) {
	route := func(spelling string) dialecttest.Route {
		return dialecttest.Route{
			Name: "GET /v2/" + spelling + "/agents/{uuid}/usage", Kinds: bearers,
			Want: 200, Foreign: 404,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, spelling, of.MembersAgent.ID.String(), "?start=2020-01-01")
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				return ask(s, spelling, segment, "")
			},
			Refused: []int{404},
		}
	}
	start := route("gen-ai")
	start.Name += "?start"
	start.Segment = func(s dialecttest.Secret, segment string) dialecttest.Request {
		r := start.Request(s, &dialecttest.Organization{}) // the zero agent is nobody's
		r.Path += "&stop=" + segment
		return r
	}
	dialecttest.Run(t, dialecttest.Suite{
		Routes:   []dialecttest.Route{route("gen-ai"), route("genai"), start},
		Access:   rules,
		Unknown:  "/v2/droplets",
		Envelope: envelope,
	})
}

func ask(s dialecttest.Secret, spelling, agent, query string) dialecttest.Request {
	r := dialecttest.Request{
		Method: "GET", Path: "/v2/" + spelling + "/agents/" + agent + "/usage" + query,
	}
	if s.Text == "" {
		return r
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// rules are who reads an agent's usage: any active member of its organization.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	row := func(who string, s dialecttest.Secret, agent uuid.UUID, want int) dialecttest.Access {
		a := dialecttest.Access{Who: who, Request: ask(s, "gen-ai", agent.String(), ""), Want: want}
		if want == 200 {
			a.Shows = []string{agent.String(), `"tokens":41`}
		}
		return a
	}
	o, other := h.Acme, h.Globex
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }
	rows := []dialecttest.Access{
		row("a superadmin", token(o.Superadmin), o.MembersAgent.ID, 200),
		row("an admin, own agent", token(o.Admin), o.AdminsAgent.ID, 200),
		row("a member, own agent", token(o.Member), o.MembersAgent.ID, 200),
		row("a member, a colleague's agent", token(o.Member), o.AdminsAgent.ID, 200),
		row("a former superadmin", token(o.Former), o.MembersAgent.ID, 401),
		row("another organization's superadmin", token(other.Superadmin), o.MembersAgent.ID, 404),
		row("another organization's member", token(other.Member), o.MembersAgent.ID, 404),
		row("no such agent", token(o.Superadmin), uuid.New(), 404),
		row("the agent's own secret", o.MembersAgent.Secret(), o.MembersAgent.ID, 401),
	}
	for _, query := range []string{
		"?start=yesterday", "?stop=20260101", "?start=2026-01-02&stop=2026-01-01", "?start=%00",
		"?stop=%ff", "?start=1e400", "?start=99999-01-01T00:00:00Z", "?start=2026-02-30",
		"?stop=2026-01-01T00:00:00.0000000001Z", "?start=2999-01-01", "?start=NaN&start=NaN",
	} {
		rows = append(rows, dialecttest.Access{
			Who: "a member asks " + query, Want: 400,
			Request: ask(token(o.Member), "gen-ai", o.MembersAgent.ID.String(), query),
		})
	}
	return rows
}

func envelope(r dialecttest.Response) error {
	var members map[string]string
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	if len(members) != 3 || members["id"] == "" || members["message"] == "" {
		return fmt.Errorf("not DigitalOcean's envelope")
	}
	if id := r.Header.Get("X-Request-Id"); id == "" || members["request_id"] != id {
		return fmt.Errorf("x-request-id %q", id)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
