package usage_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

var everyone = []schema.CredentialKind{
	schema.AccessToken, schema.AppPassword, schema.AgentSecret,
}

// lately is a question about the harness's own usage.
func lately(more string) string {
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
	return "/v1/usage/query?from=" + day(-2) + "&to=" + day(2) + more
}

// TestSuite attacks the questions, on a real engine.
func TestSuite(t *testing.T) {
	t.Parallel()
	refused := []int{400, 404}
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{{
			Name: "GET query", Want: 200, Kinds: everyone,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, "GET", lately("&group_by=agent_id,model&filter.model="+of.Mark+"-model"))
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				return ask(s, "GET", lately("&organization_id="+url.QueryEscape(segment)))
			},
			Refused: refused, Also: []string{"POST"},
		}, {
			Name: "GET agent", Want: 200, Foreign: 404, Kinds: everyone,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, "GET", "/v1/agents/"+of.MembersAgent.ID.String()+"/usage?group_by=model")
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				return ask(s, "GET", "/v1/agents/"+segment+"/usage")
			},
			Refused: refused,
		}},
		Access:   accessRows,
		Unknown:  "/v1/usage/nothing",
		Envelope: envelope,
		Rejected: []int{400, 422},
	})
}

func ask(s dialecttest.Secret, method, path string) dialecttest.Request {
	r := dialecttest.Request{Method: method, Path: path}
	switch {
	case s.Text == "":
		return r
	case s.Kind == schema.AgentSecret:
		return r.With("Agent-Secret-Key", s.Text)
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// accessRows: a member and an agent see their own, an admin the organization's, a superadmin any.
func accessRows(h *dialecttest.Harness) (rows []dialecttest.Access) {
	o, other := h.Acme, h.Globex
	row := func(who string, s dialecttest.Secret, more string, want int, shows, hides []string) {
		rows = append(rows, dialecttest.Access{
			Who: who + " " + more, Request: ask(s, "GET", lately("&group_by=user_id,agent_id"+more)),
			Want: want, Shows: shows, Hides: append(hides, other.Admin.ID.String()),
		})
	}
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }
	member, admin := o.Member.ID.String(), o.Admin.ID.String()
	agent, colleague := o.MembersAgent.ID.String(), o.AdminsAgent.ID.String()
	row("a member", token(o.Member), "", 200, []string{member, agent}, []string{admin, colleague})
	row("an admin", token(o.Admin), "", 200, []string{member, admin, agent, colleague}, nil)
	row("an agent", o.MembersAgent.Secret(), "", 200, []string{agent}, []string{admin, colleague})
	row("a member", token(o.Member), "&filter.user_id="+admin, 403, nil, nil)
	row("an admin", token(o.Admin), "&organization_id="+other.ID.String(), 404, nil, nil)
	rows = append(rows, dialecttest.Access{
		Who: "a superadmin", Want: 200, Shows: []string{other.Member.ID.String()},
		Hides: []string{member, admin}, Request: ask(token(o.Superadmin), "GET",
			lately("&group_by=user_id&organization_id="+other.ID.String())),
	})
	return rows
}

func envelope(r dialecttest.Response) error {
	var p struct {
		Type, Title string
		Status      int
	}
	if err := json.Unmarshal(r.Body, &p); err != nil {
		return err
	}
	if p.Type != "about:blank" || p.Title == "" || p.Status != r.Status {
		return fmt.Errorf("not a problem of RFC 9457")
	}
	return nil
}
