package memori_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

const (
	tenants = "/api/v2/TenantConsumptionLogs/"
	users   = "/api/v2/UserConsumptionLogs/"
	memoris = "/api/v2/MemoriConsumptionLogs/"
)

func TestSuite(t *testing.T) {
	route := func(
		path string, foreign int, name func(*dialecttest.Organization) string, tail string,
	) dialecttest.Route {
		return dialecttest.Route{
			Name: "GET " + path + "{strToken}/…" + tail, Want: 200, Foreign: foreign,
			Kinds: []schema.CredentialKind{schema.LoginToken},
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(path, s, name(of)+tail)
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				return ask(path, s, segment+"/Daily")
			},
			Refused: []int{404, -1, -12, -51, -904, -905, -901, -902, -903},
		}
	}
	tenant := func(o *dialecttest.Organization) string { return o.Tenant }
	user := func(o *dialecttest.Organization) string { return o.Member.ID.String() }
	memori := func(o *dialecttest.Organization) string { return o.MembersAgent.ID.String() }
	dates := route(tenants, -102, tenant, "/Daily/20200101/20991231")
	dates.Segment = func(s dialecttest.Secret, segment string) dialecttest.Request {
		return ask(tenants, s, "www.nobody.example/Daily/20200101/"+segment)
	}
	kind := route(users, -102, user, "/Monthly/20200101")
	kind.Segment = func(s dialecttest.Secret, segment string) dialecttest.Request {
		return ask(users, s, uuid.NewString()+"/"+segment)
	}
	token := route(memoris, -52, memori, "/monthly")
	token.Segment = func(_ dialecttest.Secret, segment string) dialecttest.Request {
		return dialecttest.Request{
			Method: "GET", Path: memoris + segment + "/" + uuid.NewString() + "/Daily",
		}
	}
	token.Refused = append(token.Refused, -101)
	dialecttest.Run(t, dialecttest.Suite{
		Routes: []dialecttest.Route{
			route(tenants, -102, tenant, "/Daily"), dates,
			route(users, -102, user, "/Daily"), kind,
			route(memoris, -52, memori, "/Daily"), token,
		},
		Access:          rules,
		Unknown:         "/api/v2/Sessions",
		Outcome:         outcome,
		Envelope:        envelope,
		Missing:         404, // a path without a token is another path
		Unauthenticated: -101,
	})
}

func ask(path string, s dialecttest.Secret, tail string) dialecttest.Request {
	return dialecttest.Request{Method: "GET", Path: path + s.Text + "/" + tail}
}

// rules are who reads whose logs: docs/memori.md has the same rows.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	row := func(who, path string, u dialecttest.User, what string, want int) dialecttest.Access {
		a := dialecttest.Access{
			Who: who, Want: want, Hides: []string{u.LoginToken},
			Request: ask(path, u.Secret(schema.LoginToken), what+"/Daily"),
		}
		if want == 200 {
			a.Hides = append(a.Hides, h.Globex.Mark)
		}
		return a
	}
	o, other := h.Acme, h.Globex
	member, admin := o.Member.ID.String(), o.Admin.ID.String()
	own, colleagues := o.MembersAgent.ID.String(), o.AdminsAgent.ID.String()
	nobody := uuid.NewString()
	return []dialecttest.Access{
		row("tenant: a superadmin", tenants, o.Superadmin, o.Tenant, 200),
		row("tenant: an admin", tenants, o.Admin, o.Tenant, 200),
		row("tenant: an admin, another's", tenants, o.Admin, other.Tenant, -102),
		row("tenant: an admin, nobody's", tenants, o.Admin, "www.nobody.example", -1),
		row("tenant: a member", tenants, o.Member, o.Tenant, -102),
		row("tenant: a member, another's", tenants, o.Member, other.Tenant, -102),
		row("tenant: a member, nobody's", tenants, o.Member, "www.nobody.example", -102),
		row("tenant: a former superadmin", tenants, o.Former, o.Tenant, -101),

		row("user: own", users, o.Member, member, 200),
		row("user: an admin, a member's", users, o.Admin, member, 200),
		row("user: a superadmin, a member's", users, o.Superadmin, member, 200),
		row("user: a member, an admin's", users, o.Member, admin, -102),
		row("user: a member, a stranger's", users, o.Member, other.Member.ID.String(), -102),
		row("user: a member, nobody's", users, o.Member, nobody, -102),
		row("user: an admin, a stranger's", users, o.Admin, other.Member.ID.String(), -102),
		row("user: an admin, a former member's", users, o.Admin, o.Former.ID.String(), -102),
		row("user: an admin, nobody's", users, o.Admin, nobody, -12),
		row("user: an admin, the zero id", users, o.Admin, uuid.Nil.String(), -12),

		row("memori: its owner", memoris, o.Member, own, 200),
		row("memori: an admin", memoris, o.Admin, own, 200),
		row("memori: a member, an admin's", memoris, o.Member, colleagues, -102),
		row("memori: a member, a stranger's", memoris, o.Member, other.MembersAgent.ID.String(), -52),
		row("memori: an admin, a stranger's", memoris, o.Admin, other.MembersAgent.ID.String(), -52),
		row("memori: nobody's", memoris, o.Admin, nobody, -51),
		row("memori: the zero id", memoris, o.Admin, uuid.Nil.String(), -51),
	}
}

// outcome is the result code: the status is 200 whatever happens.
func outcome(r dialecttest.Response) int {
	var answer struct{ ResultCode *int }
	if r.Status != 200 || json.Unmarshal(r.Body, &answer) != nil || answer.ResultCode == nil {
		return r.Status
	}
	if *answer.ResultCode == 0 {
		return 200
	}
	return *answer.ResultCode
}

func envelope(r dialecttest.Response) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	for _, name := range []string{"requestID", "requestDateTime", "resultCode", "resultMessage"} {
		if members[name] == nil {
			return fmt.Errorf("no member %s", name)
		}
	}
	if len(members) != 5 || string(members["consumptionLogs"]) != "null" || r.Status != 200 {
		return fmt.Errorf("not Memori's envelope")
	}
	if got := r.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
