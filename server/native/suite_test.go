package native_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

func TestSuite(t *testing.T) {
	bearers := []schema.CredentialKind{schema.AccessToken, schema.AppPassword}
	event := func(name, method, suffix, body string, also ...string) dialecttest.Route {
		ask := func(s dialecttest.Secret, segment string) dialecttest.Request {
			r := post(s, body)
			r.Method, r.Path = method, "/v1/events/"+segment+suffix
			return r
		}
		return dialecttest.Route{
			Name: name, Kinds: bearers, Want: 200, Foreign: 404,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, of.MembersRecord.String())
			},
			Segment: ask, Refused: []int{404}, Also: also,
		}
	}
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{
			{
				Name: "POST /v1/events",
				Kinds: []schema.CredentialKind{
					schema.AccessToken, schema.AppPassword, schema.AgentSecret,
				},
				Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
					return post(s, `{"usage":{"INPUT":1}}`)
				},
				Want: 201,
				Body: func(quantity, text string) string {
					return fmt.Sprintf(`{"usage":{"INPUT":%s},"model":%q,"provider_key":"sk-%s"}`,
						quantity, text, text)
				},
			},
			{
				Name: "GET /v1/events",
				Kinds: []schema.CredentialKind{
					schema.AccessToken, schema.AppPassword, schema.AgentSecret,
				},
				Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
					return list(s, "")
				},
				Want: 200,
			},
			event("GET /v1/events/{id}", "GET", "", "", "PATCH"),
			event("GET /v1/events/{id}/history", "GET", "/history", ""),
			event("PATCH /v1/events/{id}", "PATCH", "", "{}", "PATCH"),
		},
		Access:   rules,
		Unknown:  "/v1/nothing",
		Envelope: envelope,
		Rejected: []int{400, 422},
	})
}

// list asks for the events that a parameter names.
func list(s dialecttest.Secret, query string) dialecttest.Request {
	r := post(s, "")
	r.Method, r.Path = "GET", "/v1/events?state=all"+query
	return r
}

// searchers are who finds which event in a list.
func searchers(o, other *dialecttest.Organization) []dialecttest.Access {
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }
	members, admins := o.MembersRecord.String(), o.AdminsRecord.String()
	whose := func(name string, id uuid.UUID) string { return "&" + name + "=" + id.String() }
	return []dialecttest.Access{
		{Who: "an admin, all", Request: list(token(o.Admin), ""), Want: 200,
			Shows: []string{members, admins}, Hides: []string{other.Mark}},
		{Who: "an admin, a member's", Request: list(token(o.Admin), whose("user_id", o.Member.ID)),
			Want: 200, Shows: []string{members}, Hides: []string{admins, other.Mark}},
		{Who: "a member, all", Request: list(token(o.Member), ""), Want: 200,
			Shows: []string{members}, Hides: []string{admins, other.Mark}},
		{Who: "a member, own", Request: list(token(o.Member), whose("user_id", o.Member.ID)),
			Want: 200, Shows: []string{members}, Hides: []string{admins, other.Mark}},
		{Who: "a member, an admin's", Request: list(token(o.Member), whose("user_id", o.Admin.ID)),
			Want: 403, Hides: []string{admins, o.Mark, other.Mark}},
		{Who: "an agent, all", Request: list(o.MembersAgent.Secret(), ""), Want: 200,
			Hides: []string{admins, other.Mark}},
		{Who: "an agent, another's", Request: list(o.MembersAgent.Secret(),
			whose("agent_id", o.AdminsAgent.ID)), Want: 403, Hides: []string{o.Mark, other.Mark}},
		{Who: "an admin, another organization", Request: list(token(o.Admin),
			whose("organization_id", other.ID)), Want: 404, Hides: []string{other.Mark}},
		{Who: "a superadmin, another organization", Request: list(token(o.Superadmin),
			whose("organization_id", other.ID)), Want: 200,
			Shows: []string{other.MembersRecord.String()}, Hides: []string{o.Mark}},
	}
}

func post(s dialecttest.Secret, body string) dialecttest.Request {
	r := dialecttest.Request{Method: "POST", Path: "/v1/events", Body: body}
	switch {
	case s.Text == "":
		return r
	case s.Kind == schema.AgentSecret:
		return r.With("Agent-Secret-Key", s.Text)
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// rules are whose usage a caller may write: the caller's own, a member's by an admin, an agent's
// of the organization, and nobody else's.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	row := func(who string, s dialecttest.Secret, member string, id uuid.UUID, want int,
	) dialecttest.Access {
		a := dialecttest.Access{Who: who, Want: want, Request: post(s, fmt.Sprintf(
			`{"usage":{"INPUT":1},%q:%q}`, member, id))}
		if want == 422 {
			a.Shows = []string{fmt.Sprintf(`"field":%q`, member)}
		}
		return a
	}
	o, other := h.Acme, h.Globex
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }
	const user, agent = "user_id", "agent_id"
	own, colleagues := o.MembersAgent, o.AdminsAgent
	batch := post(token(o.Admin), fmt.Sprintf(`[{"usage":{"A":1},"agent_id":%q},{"usage":{"A":1}}]`,
		other.MembersAgent.ID))
	batch.Path += "?atomic=true"
	return append(append(readers(o, other), searchers(o, other)...), []dialecttest.Access{
		row("a member, own", token(o.Member), user, o.Member.ID, 201),
		row("a member, an admin's", token(o.Member), user, o.Admin.ID, 422),
		row("a member, a stranger's", token(o.Member), user, other.Member.ID, 422),
		row("an admin, a member's", token(o.Admin), user, o.Member.ID, 201),
		row("a superadmin, a member's", token(o.Superadmin), user, o.Member.ID, 201),
		row("an admin, a former member's", token(o.Admin), user, o.Former.ID, 422),
		row("an admin, a stranger's", token(o.Admin), user, other.Member.ID, 422),
		row("an admin, nobody's", token(o.Admin), user, uuid.New(), 422),
		row("a member, own agent", token(o.Member), agent, own.ID, 201),
		row("a member, a colleague's agent", token(o.Member), agent, colleagues.ID, 201),
		row("an admin, a stranger's agent", token(o.Admin), agent, other.MembersAgent.ID, 422),
		row("an admin, nobody's agent", token(o.Admin), agent, uuid.New(), 422),
		row("an agent, itself", own.Secret(), agent, own.ID, 201),
		row("an agent, its owner's", own.Secret(), user, o.Member.ID, 201),
		row("an agent, another agent's", own.Secret(), agent, colleagues.ID, 422),
		row("an agent, another user's", own.Secret(), user, o.Admin.ID, 422),
		row("an admin's agent, a member's", colleagues.Secret(), user, o.Member.ID, 422),
		{Who: "a batch with a stranger's agent", Request: batch, Want: 422},
	}...)
}

// readers are who sees which event, and who corrects it.
func readers(o, other *dialecttest.Organization) []dialecttest.Access {
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }
	members, admins := o.MembersRecord.String(), o.AdminsRecord.String()
	var all []dialecttest.Access
	row := func(who string, s dialecttest.Secret, id string, read, amend int) {
		for _, r := range []struct {
			method, suffix, body string
			want                 int
		}{
			{"GET", "", "", read}, {"GET", "/history", "", read},
			{"PATCH", "", `{"purpose":"amended"}`, amend},
		} {
			a := dialecttest.Access{
				Who: who + " " + r.method + r.suffix, Request: post(s, r.body), Want: r.want,
			}
			a.Request.Method, a.Request.Path = r.method, "/v1/events/"+id+r.suffix
			if r.want == 200 {
				a.Shows = []string{id}
			} else {
				a.Hides = []string{o.Mark, other.Mark}
			}
			all = append(all, a)
		}
	}
	row("a superadmin, a member's", token(o.Superadmin), members, 200, 200)
	row("an admin, a member's", token(o.Admin), members, 200, 200)
	row("a member, own", token(o.Member), members, 200, 403)
	row("a member, an admin's", token(o.Member), admins, 404, 403)
	row("a member, nobody's", token(o.Member), uuid.NewString(), 404, 403)
	row("an agent, its owner's", o.MembersAgent.Secret(), members, 404, 403)
	row("another organization's superadmin", token(other.Superadmin), members, 404, 404)
	row("another organization's member", token(other.Member), members, 404, 403)
	return all
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
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
