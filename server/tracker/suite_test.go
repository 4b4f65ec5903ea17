package tracker_test

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
	segment := func(prefix string) func(dialecttest.Secret, string) dialecttest.Request {
		return func(s dialecttest.Secret, segment string) dialecttest.Request {
			return ask(s, prefix+segment)
		}
	}
	suite := dialecttest.Suite{
		Access:   rules,
		Unknown:  "/usage/user/x/y",
		Envelope: envelope,
		Rejected: []int{422, 400},
		BOM:      true,
	}
	for _, base := range []string{"/usage", "/api/v1/usage"} {
		suite.Routes = append(suite.Routes, dialecttest.Route{
			Name: "POST " + base, Kinds: bearers, Want: 201,
			Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
				r := ask(s, base)
				r.Method, r.Body = "POST", body("7", "")
				return r
			},
			Body: body,
		}, dialecttest.Route{
			Name: "GET " + base, Kinds: bearers, Want: 200,
			Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
				return ask(s, base+"?skip=0&limit=100")
			},
			Segment: segment(base + "?limit="), Refused: []int{422},
		}, dialecttest.Route{
			Name: "GET " + base + "/user/{user_id}", Kinds: bearers, Want: 200,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, base+"/user/"+of.Member.ID.String())
			},
			// A user nobody knows has no records: the zero UUID is one.
			Segment: segment(base + "/user/"), Refused: []int{422, 404, 200},
		}, dialecttest.Route{
			Name: "GET " + base + "/{usage_id}", Kinds: bearers, Want: 200, Foreign: 404,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				return ask(s, base+"/"+of.MembersRecord.String())
			},
			Segment: segment(base + "/"), Refused: []int{422, 404},
		}, dialecttest.Route{
			Name: "PUT " + base + "/{usage_id}", Kinds: bearers, Want: 200, Foreign: 404,
			Request: func(s dialecttest.Secret, of *dialecttest.Organization) dialecttest.Request {
				r := ask(s, base+"/"+of.MembersRecord.String())
				r.Method, r.Body = "PUT", "{}"
				return r
			},
			Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
				r := ask(s, base+"/"+segment)
				r.Method, r.Body = "PUT", "{}"
				return r
			},
			Refused: []int{422, 404},
		})
	}
	dialecttest.Run(t, suite)
}

func body(quantity, text string) string {
	return fmt.Sprintf(`{"api_name":%q,"endpoint":"/chat","units_used":%s,"cost_usd":0.0043,`+
		`"api_key_used":"sk-%s"}`, text, quantity, text)
}

func ask(s dialecttest.Secret, path string) dialecttest.Request {
	r := dialecttest.Request{Method: "GET", Path: path}
	if s.Text == "" {
		return r
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// rules are who reads what: an admin the organization's records, a member own ones.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	o, other := h.Acme, h.Globex
	superadmin, admin := o.Superadmin.Secret(schema.AccessToken), o.Admin.Secret(schema.AccessToken)
	member, theirs := o.Member.Secret(schema.AccessToken), other.Superadmin.Secret(schema.AccessToken)
	members, admins := o.MembersRecord.String(), o.AdminsRecord.String()
	foreign := []string{other.Mark, other.MembersRecord.String()}
	list := func(who string, s dialecttest.Secret, path string, shows, hides []string,
	) dialecttest.Access {
		return dialecttest.Access{
			Who: who, Request: ask(s, path), Want: 200, Shows: shows, Hides: append(hides, foreign...),
		}
	}
	one := func(who string, s dialecttest.Secret, path string, want int) dialecttest.Access {
		return dialecttest.Access{Who: who, Request: ask(s, path), Want: want}
	}
	write := func(who string, s dialecttest.Secret) dialecttest.Access {
		r := ask(s, "/usage")
		r.Method, r.Body = "POST", body("1", "x")
		return dialecttest.Access{Who: who, Request: r, Want: 201}
	}
	put := func(who string, s dialecttest.Secret, id string, want int) dialecttest.Access {
		r := ask(s, "/usage/"+id)
		r.Method, r.Body = "PUT", `{"units_used":42}`
		return dialecttest.Access{Who: who, Request: r, Want: want}
	}
	remove := func(who string, s dialecttest.Secret, id string, want int) dialecttest.Access {
		r := ask(s, "/usage/"+id)
		r.Method = "DELETE"
		return dialecttest.Access{Who: who, Request: r, Want: want}
	}
	mayList := []string{members, admins}
	user := func(id uuid.UUID) string { return "/usage/user/" + id.String() }
	return []dialecttest.Access{
		write("a member writes", member), write("an admin writes", admin),
		list("a superadmin lists", superadmin, "/usage?limit=1000", mayList, nil),
		list("an admin lists", admin, "/usage?limit=1000", mayList, nil),
		list("a member lists", member, "/usage?limit=1000", []string{members}, []string{admins}),
		list("a member lists own", member, user(o.Member.ID), []string{members}, []string{admins}),
		list("an admin lists a member's", admin, user(o.Member.ID), []string{members},
			[]string{admins}),
		list("an admin lists nobody's", admin, user(uuid.Nil), nil, mayList),
		list("an admin lists a stranger's", admin, user(other.Member.ID), nil, mayList),
		one("a member lists an admin's", member, user(o.Admin.ID), 403),
		one("a member lists a stranger's", member, user(other.Member.ID), 403),
		one("a member reads own", member, "/usage/"+members, 200),
		one("a member reads an admin's", member, "/usage/"+admins, 404),
		one("an admin reads a member's", admin, "/usage/"+members, 200),
		one("a superadmin reads a member's", superadmin, "/usage/"+members, 200),
		one("another organization's superadmin reads", theirs, "/usage/"+members, 404),
		put("a member changes own", member, members, 403),
		put("another organization's superadmin changes", theirs, members, 404),
		put("an admin changes a member's", admin, members, 200),
		put("a superadmin changes an admin's", superadmin, admins, 200),
		remove("a member deletes own", member, members, 403),
		remove("another organization's superadmin deletes", theirs, members, 404),
	}
}

func envelope(r dialecttest.Response) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	if len(members) != 1 || members["detail"] == nil {
		return fmt.Errorf("want one member, detail")
	}
	if isList := members["detail"][0] == '['; isList != (r.Status == 422) {
		return fmt.Errorf("detail of the wrong kind")
	}
	if r.Status == 401 && r.Header.Get("WWW-Authenticate") != "Bearer" {
		return fmt.Errorf("no challenge")
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
