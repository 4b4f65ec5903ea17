package admin_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

func token(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AccessToken) }

// The tests of this file are the tables of docs/admin.md: who may do what to whose things, a row
// each. Outcomes are of requests that would be good were they allowed.

// rules are who reads what.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	return append(rowsOf(h, readRules), listRules(h)...)
}

// TestWhoMayChange has a harness of its own: what a superadmin does to another organization is on
// that one's record.
func TestWhoMayChange(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	for _, row := range rowsOf(h, organizationRules, userRules, credentialRules) {
		t.Run(row.Who, func(t *testing.T) {
			got := h.Do(t, row.Request)
			if got.Status != row.Want {
				t.Errorf("status %d, want %d: %s", got.Status, row.Want, got.Body)
			}
			if got.Status >= 400 {
				if err := envelope(got); err != nil {
					t.Errorf("%v: %s", err, got.Body)
				}
			}
		})
	}
}

func rowsOf(
	h *dialecttest.Harness, tables ...func(*dialecttest.Harness, rowFunc),
) []dialecttest.Access {
	var rows []dialecttest.Access
	for _, table := range tables {
		table(h, func(who string, s dialecttest.Secret, method, path, body string, want int) {
			rows = append(rows, dialecttest.Access{
				Who: who + ": " + method + " " + path, Request: ask(s, method, path, body), Want: want,
			})
		})
	}
	return rows
}

type rowFunc func(who string, s dialecttest.Secret, method, path, body string, want int)

// readRules: a superadmin reads everything, an admin what is the organization's, a member only
// themselves; an agent nothing.
func readRules(h *dialecttest.Harness, row rowFunc) {
	o, other := h.Acme, h.Globex
	for _, path := range []string{
		"organizations", "users", "memberships", "agents", "services", "credentials",
		"meters", "text_model_costs", "stripe_mappings", "audit", "unpriced",
	} {
		member, admin := 403, 200
		switch path {
		case "users", "credentials":
			member = 200
		case "stripe_mappings":
			admin = 403
		}
		row("agent", o.MembersAgent.Secret(), "GET", path, "", 403)
		row("member", token(o.Member), "GET", path, "", member)
		row("admin", token(o.Admin), "GET", path, "", admin)
		row("superadmin", token(o.Superadmin), "GET", path, "", 200)
		switch path {
		case "services", "meters", "text_model_costs", "users":
			continue // nobody's in particular: no filter
		}
		theirs := path + "?organization_id=" + other.ID.String()
		row("superadmin, another's", token(o.Superadmin), "GET", theirs, "", 200)
		if admin == 200 {
			row("admin, another's", token(o.Admin), "GET", theirs, "", 404)
			row("admin, own", token(o.Admin), "GET", path+"?organization_id="+o.ID.String(), "", 200)
		}
	}
	for _, path := range []string{
		"organizations/" + other.ID.String(), "agents/" + other.MembersAgent.ID.String(),
		"users/" + other.Member.ID.String(),
		"memberships/" + other.ID.String() + "/" + other.Member.ID.String(),
	} {
		row("superadmin, another's", token(o.Superadmin), "GET", path, "", 200)
		for method, body := range map[string]string{"GET": "", "PATCH": "{}", "DELETE": ""} {
			row("admin, another's", token(o.Admin), method, path, body, 404)
		}
	}
	row("member, own", token(o.Member), "GET", "users/"+o.Member.ID.String(), "", 200)
	row("member, a colleague", token(o.Member), "GET", "users/"+o.Admin.ID.String(), "", 404)
	row("member", token(o.Member), "GET", "agents/"+o.MembersAgent.ID.String(), "", 403)
	row("former", token(o.Former), "GET", "users", "", 401)
}

// organizationRules: an admin's organization is the admin's to read; its agents to change. What
// belongs to no organization is a superadmin's.
func organizationRules(h *dialecttest.Harness, row rowFunc) {
	o, other := h.Acme, h.Globex
	own := "organizations/" + o.ID.String()
	row("admin", token(o.Admin), "POST", "organizations", `{"name":"x"}`, 403)
	row("admin", token(o.Admin), "PATCH", own, `{"name":"x"}`, 403)
	row("admin", token(o.Admin), "DELETE", own, "", 403)
	row("superadmin, own", token(o.Superadmin), "DELETE", own, "", 403)
	row("superadmin", token(o.Superadmin), "PATCH", own, `{"name":"acmeonly organization"}`, 200)
	row("superadmin", token(o.Superadmin), "PATCH", "organizations/"+other.ID.String(),
		`{"tenant":"www.globexonly.example"}`, 200)
	row("member", token(o.Member), "PATCH", own, `{"name":"x"}`, 403)

	agent := func(organization uuid.UUID) string {
		return fmt.Sprintf(`{"name":"made","organization_id":%q}`, organization)
	}
	row("member", token(o.Member), "POST", "agents", agent(o.ID), 403)
	row("admin", token(o.Admin), "POST", "agents", agent(o.ID), 201)
	row("admin, another's", token(o.Admin), "POST", "agents", agent(other.ID), 404)
	row("superadmin, another's", token(o.Superadmin), "POST", "agents", agent(other.ID), 201)
	row("admin", token(o.Admin), "PATCH", "agents/"+o.AdminsAgent.ID.String(), "{}", 200)

	rate := `{"model":"m","usage_type":"INPUT","provider_usd_per_million":"1",` +
		`"billed_usd_per_million":2,"from":"2026-01-01"}`
	for _, w := range []struct{ path, body string }{
		{"services", `{"name":"a/b c"}`}, {"meters", `{"name":"m.1"}`}, {"text_model_costs", rate},
		{"stripe_mappings", fmt.Sprintf(`{"organization_id":%q,"customer":"cus_1"}`, o.ID)},
		{"organizations", `{"name":"new"}`},
	} {
		row("member", token(o.Member), "POST", w.path, w.body, 403)
		row("admin", token(o.Admin), "POST", w.path, w.body, 403)
		row("superadmin", token(o.Superadmin), "POST", w.path, w.body, 201)
	}
	service := "services/a%2Fb%20c"
	row("admin", token(o.Admin), "GET", service, "", 200)
	row("admin", token(o.Admin), "DELETE", service, "", 403)
	row("admin", token(o.Admin), "DELETE", "services/none", "", 404)
	row("member", token(o.Member), "GET", "meters/m.1", "", 403)
	row("admin", token(o.Admin), "GET", "meters/m.1", "", 200)
	row("admin", token(o.Admin), "PATCH", "meters/m.1", "{}", 403)
	row("admin", token(o.Admin), "DELETE", "meters/m.1", "", 403)
	row("superadmin", token(o.Superadmin), "PATCH", "meters/m.1", `{"models":["x"]}`, 200)
	mapping := "stripe_mappings/" + o.ID.String()
	row("admin", token(o.Admin), "GET", mapping, "", 403)
	row("superadmin", token(o.Superadmin), "PATCH", mapping, `{"meter":"m"}`, 200)
}

// userRules: an admin makes and changes the organization's users, but nobody over themselves and
// nobody who is another organization's as well.
func userRules(h *dialecttest.Harness, row rowFunc) {
	o, other := h.Acme, h.Globex
	user := func(role string, organization uuid.UUID) string {
		return fmt.Sprintf(`{"name":"made","role":%q,"organization_id":%q}`, role, organization)
	}
	row("member", token(o.Member), "POST", "users", `{"name":"made"}`, 403)
	row("member, own", token(o.Member), "PATCH", "users/"+o.Member.ID.String(), `{"name":"x"}`, 403)
	row("member, a colleague", token(o.Member), "PATCH", "users/"+o.Admin.ID.String(), "{}", 404)
	row("admin", token(o.Admin), "POST", "users", `{"name":"made"}`, 201)
	row("admin", token(o.Admin), "POST", "users", user("admin", o.ID), 201)
	row("admin, over own role", token(o.Admin), "POST", "users", user("superadmin", o.ID), 403)
	row("admin, another's", token(o.Admin), "POST", "users", user("member", other.ID), 404)
	row("superadmin", token(o.Superadmin), "POST", "users", user("superadmin", other.ID), 201)
	row("admin", token(o.Admin), "PATCH", "users/"+o.Member.ID.String(), `{"email":"m@x"}`, 200)
	row("admin, a superadmin", token(o.Admin), "PATCH", "users/"+o.Superadmin.ID.String(), "{}", 403)
	row("admin, a superadmin", token(o.Admin), "DELETE", "users/"+o.Superadmin.ID.String(), "", 403)
	row("admin, own", token(o.Admin), "DELETE", "users/"+o.Admin.ID.String(), "", 403)

	member := func(u dialecttest.User) string {
		return "memberships/" + o.ID.String() + "/" + u.ID.String()
	}
	row("admin", token(o.Admin), "PATCH", member(o.Member), `{"role":"member"}`, 200)
	row("admin, over own role", token(o.Admin), "PATCH", member(o.Member),
		`{"role":"superadmin"}`, 403)
	row("admin, own", token(o.Admin), "PATCH", member(o.Admin), `{"role":"member"}`, 403)
	row("admin, a superadmin", token(o.Admin), "PATCH", member(o.Superadmin),
		`{"active":false}`, 403)
	row("admin, a superadmin", token(o.Admin), "DELETE", member(o.Superadmin), "", 403)
	join := func(u dialecttest.User, organization uuid.UUID) string {
		return fmt.Sprintf(`{"user_id":%q,"organization_id":%q,"role":"member"}`, u.ID, organization)
	}
	row("admin, another's user", token(o.Admin), "POST", "memberships", join(other.Member, o.ID), 422)
	row("admin, into another's", token(o.Admin), "POST", "memberships", join(o.Member, other.ID), 404)
	row("superadmin, into another's", token(o.Superadmin), "POST", "memberships",
		join(o.Member, other.ID), 201)
	// From here on, the member is the other organization's too.
	row("admin, who is another's too", token(o.Admin), "PATCH", "users/"+o.Member.ID.String(),
		`{"name":"x"}`, 403)
	row("admin, who is another's too", token(o.Admin), "DELETE", "users/"+o.Member.ID.String(),
		"", 403)
	row("admin, who is another's too", token(o.Admin), "POST", "credentials",
		fmt.Sprintf(`{"kind":"app_password","user_id":%q}`, o.Member.ID), 403)
	row("superadmin", token(o.Superadmin), "DELETE",
		"memberships/"+other.ID.String()+"/"+o.Member.ID.String(), "", 204)
}

// credentialRules: a member makes bearers of their own; an admin whatever stays in the
// organization, and nothing in the name of a superadmin.
func credentialRules(h *dialecttest.Harness, row rowFunc) {
	o, other := h.Acme, h.Globex
	of := func(kind string, u dialecttest.User) string {
		return fmt.Sprintf(`{"kind":%q,"user_id":%q}`, kind, u.ID)
	}
	agents := func(a dialecttest.Agent) string {
		return fmt.Sprintf(`{"kind":"agent_secret","agent_id":%q}`, a.ID)
	}
	own := func(s dialecttest.Secret) string { return "credentials/" + idOf(s) }
	const post, path = "POST", "credentials"
	row("member, own", token(o.Member), post, path, `{"kind":"access_token"}`, 201)
	row("member, own", token(o.Member), post, path, of("app_password", o.Member), 201)
	row("member, own login", token(o.Member), post, path, of("login_token", o.Member), 403)
	row("member, a colleague's", token(o.Member), post, path, of("access_token", o.Admin), 403)
	row("member, an agent's", token(o.Member), post, path, agents(o.MembersAgent), 403)
	row("member, a limit", token(o.Member), post, path,
		`{"kind":"access_token","requests_per_minute":9}`, 403)
	row("member, own", token(o.Member), "GET", own(token(o.Member)), "", 200)
	row("member, own", token(o.Member), "PATCH", own(token(o.Member)), `{"name":"x"}`, 403)
	row("member, a colleague's", token(o.Member), "GET", own(token(o.Admin)), "", 404)
	row("member, a colleague's", token(o.Member), "DELETE", own(token(o.Admin)), "", 404)
	row("member, own", token(o.Member), "DELETE",
		own(o.Member.Secret(schema.AppPassword)), "", 204)

	row("admin, own", token(o.Admin), post, path, of("login_token", o.Admin), 201)
	row("admin, a member's", token(o.Admin), post, path, of("app_password", o.Member), 201)
	row("admin, an agent's", token(o.Admin), post, path, agents(o.MembersAgent), 201)
	row("admin, another's agent", token(o.Admin), post, path, agents(other.MembersAgent), 422)
	row("admin, another's user", token(o.Admin), post, path, of("access_token", other.Member), 422)
	row("admin, a former's", token(o.Admin), post, path, of("access_token", o.Former), 422)
	row("admin, a superadmin's", token(o.Admin), post, path, of("access_token", o.Superadmin), 403)
	row("admin, a superadmin's", token(o.Admin), "PATCH", own(token(o.Superadmin)), "{}", 403)
	row("admin, a superadmin's", token(o.Admin), "DELETE", own(token(o.Superadmin)), "", 403)
	row("admin, another's", token(o.Admin), "DELETE", own(token(other.Member)), "", 404)
	row("admin, a member's", token(o.Admin), "PATCH", own(token(o.Member)),
		`{"name":"laptop","requests_per_minute":100000}`, 200)
	row("superadmin, another's", token(o.Superadmin), post, path, fmt.Sprintf(
		`{"kind":"access_token","user_id":%q,"organization_id":%q}`, other.Member.ID, other.ID), 201)
	row("superadmin, not there", token(o.Superadmin), post, path,
		of("access_token", other.Member), 422)
}

func idOf(s dialecttest.Secret) string {
	return schema.Credential{Kind: s.Kind, Hash: schema.HashSecret(s.Text)}.ID().String()
}

// listRules are what lists show and hide.
func listRules(h *dialecttest.Harness) []dialecttest.Access {
	o, other := h.Acme, h.Globex
	mine := []string{o.Member.ID.String()}
	foreign := []string{other.ID.String(), other.Member.ID.String(), other.MembersAgent.ID.String()}
	list := func(who string, s dialecttest.Secret, path string, shows, hides []string,
	) dialecttest.Access {
		return dialecttest.Access{
			Who: who + " lists " + path, Request: ask(s, "GET", path+"?limit=1000", ""), Want: 200,
			Shows: shows, Hides: hides,
		}
	}
	rows := []dialecttest.Access{
		list("a member", token(o.Member), "users", mine,
			append([]string{o.Admin.ID.String(), o.Superadmin.ID.String()}, foreign...)),
		list("a member", token(o.Member), "credentials", mine,
			append([]string{o.Admin.ID.String(), o.MembersAgent.ID.String()}, foreign...)),
		list("an admin", token(o.Admin), "organizations", []string{o.Tenant}, foreign),
		list("an admin", token(o.Admin), "unpriced", []string{o.Mark + "-model"}, foreign),
		list("a superadmin", token(o.Superadmin), "unpriced",
			[]string{o.Mark + "-model", other.Mark + "-model"}, nil),
	}
	for _, path := range []string{"users", "memberships", "agents", "credentials", "audit"} {
		shows := []string{o.Admin.ID.String(), o.Member.ID.String()}
		rows = append(rows, list("an admin", token(o.Admin), path, shows, foreign),
			list("a superadmin", token(o.Superadmin), path, append(shows, other.Member.ID.String()),
				nil))
	}
	return rows
}
