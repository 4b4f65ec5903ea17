package agent700_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

const (
	pathUsage = "/api/billing/external-usage"
	pathUser  = "/api/billing/user"
	pathLogin = "/api/auth/app-login"
)

var bearers = []schema.CredentialKind{schema.AppPassword, schema.AccessToken}

func TestSuite(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		RoutesOf: func(h *dialecttest.Harness) []dialecttest.Route {
			return []dialecttest.Route{{
				Name: "POST " + pathUsage, Kinds: bearers, Superadmin: true, Want: 201,
				Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
					return ask(s, "POST", pathUsage, "")
				},
				// One token class: the suite counts a row of the ledger for each event.
				Body: func(quantity, text string) string {
					return body(h.Acme, h.Acme.Member.ID, h.Acme.Embedding(), quantity, "0", text)
				},
			}, {
				Name: "GET " + pathUser, Kinds: bearers, Want: 200,
				Request: func(s dialecttest.Secret, _ *dialecttest.Organization) dialecttest.Request {
					return ask(s, "GET", pathUser+"?start_date=2020-01-01&end_date=2099-12-31", "")
				},
				Segment: func(s dialecttest.Secret, segment string) dialecttest.Request {
					return ask(s, "GET", pathUser+"?start_date="+segment, "")
				},
				Refused: []int{400},
			}}
		},
		Access:   rules,
		Unknown:  "/api/billing/nothing",
		Envelope: envelope,
		Rejected: []int{400},
		BOM:      true,
	})
}

func body(o *dialecttest.Organization, user uuid.UUID, model, in, out, channel string) string {
	return fmt.Sprintf(`{"user_id":%q,"organization_id":%q,"model_name":%q,"input_tokens":%s,`+
		`"output_tokens":%s,"service_name":%q,"channel":%q}`,
		user, o.ID, model, in, out, o.Service(), channel)
}

func ask(s dialecttest.Secret, method, path, body string) dialecttest.Request {
	r := dialecttest.Request{Method: method, Path: path, Body: body}
	if s.Text == "" {
		return r
	}
	return r.With("Authorization", "Bearer "+s.Text)
}

// rules are who logs for whom, and who sees what: a superadmin of any organization logs for every
// one, everybody else for none; a user sees own requests.
func rules(h *dialecttest.Harness) []dialecttest.Access {
	o, other := h.Acme, h.Globex
	token := func(u dialecttest.User) dialecttest.Secret { return u.Secret(schema.AppPassword) }
	log := func(who string, s dialecttest.Secret, body string, want int, shows ...string,
	) dialecttest.Access {
		return dialecttest.Access{
			Who: who, Request: ask(s, "POST", pathUsage, body), Want: want, Shows: shows,
		}
	}
	own := body(o, o.Member.ID, o.Model(), "1200", "350", "voice")
	list := func(who string, s dialecttest.Secret, shows, hides []string) dialecttest.Access {
		return dialecttest.Access{
			Who: who, Request: ask(s, "GET", pathUser, ""), Want: 200, Shows: shows,
			Hides: append(hides, other.Mark),
		}
	}
	login := func(who, token string, want int, shows ...string) dialecttest.Access {
		return dialecttest.Access{
			Who: who, Want: want, Shows: shows,
			Request: ask(dialecttest.Secret{}, "POST", pathLogin, fmt.Sprintf(`{"token":%q}`, token)),
		}
	}
	const refused = "Insufficient permissions: superadmin role required"
	members, admins := o.MembersRecord.String(), o.AdminsRecord.String()
	return []dialecttest.Access{
		log("a superadmin logs", token(o.Superadmin), own, 201,
			`"inputTokens":1200,"outputTokens":350`, `"serviceCost":0.0002325,"agent700Cost":0.00030225`),
		log("a superadmin of another organization logs", token(other.Superadmin), own, 201),
		log("an admin logs", token(o.Admin), own, 403, refused),
		log("a member logs", token(o.Member), own, 403, refused),
		log("a member sends nonsense", token(o.Member), "{", 403, refused),
		log("a former superadmin logs", token(o.Former), own, 401, "Invalid app password token"),
		log("a stranger logs", dialecttest.Secret{Text: "x"}, own, 401, "Invalid or expired token"),
		log("nobody logs", dialecttest.Secret{}, own, 401, "Authentication required"),
		log("for another organization's user", token(o.Superadmin),
			body(o, other.Member.ID, o.Model(), "1", "1", ""), 404, "User not found"),
		log("for a former member", token(o.Superadmin),
			body(o, o.Former.ID, o.Model(), "1", "1", ""), 404, "User not found"),
		log("for nobody", token(o.Superadmin),
			body(o, uuid.Nil, o.Model(), "1", "1", ""), 404, "User not found"),
		log("for no organization", token(o.Superadmin),
			body(&dialecttest.Organization{ID: uuid.New(), Mark: o.Mark}, o.Member.ID, o.Model(), "1", "1",
				""), 404, "Organization not found"),
		log("of an unknown model", token(o.Superadmin),
			body(o, o.Member.ID, "m", "1", "1", ""), 400, `{"error":"Unknown model_name: m"}`),

		list("a member lists", token(o.Member), []string{members}, []string{admins}),
		list("an admin lists", token(o.Admin), []string{admins}, []string{members}),
		list("a superadmin lists", token(o.Superadmin), []string{`"billingLogs":[]`}, nil),
		{Who: "a former member lists", Want: 401, Request: ask(token(o.Former), "GET", pathUser, "")},
		{Who: "an agent lists", Want: 401, Request: ask(o.MembersAgent.Secret(), "GET", pathUser, "")},

		login("a member logs in", o.Member.AppPassword, 200, `"role":"consumer"`, o.ID.String()),
		login("an admin logs in", o.Admin.AppPassword, 200, `"role":"admin"`),
		login("a superadmin logs in", o.Superadmin.AppPassword, 200, `"role":"superadmin"`),
		login("a former member logs in", o.Former.AppPassword, 401, "Invalid app password token"),
		login("with an access token", o.Admin.AccessToken, 401, "Invalid app password token"),
		login("with a login token", o.Admin.LoginToken, 401, "Invalid app password token"),
		login("with an agent's secret", o.AdminsAgent.Token, 401, "Invalid app password token"),
		login("with a guess", "app_a7_guess", 401, "Invalid app password token"),
		login("with nothing", "", 400, "Missing required field: token"),
	}
}

func envelope(r dialecttest.Response) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &members); err != nil {
		return err
	}
	for name, value := range members {
		if !slices.Contains([]string{"error", "details"}, name) ||
			name == "error" != (value[0] == '"') || name == "details" != (value[0] == '[') {
			return fmt.Errorf("member %s is %s", name, value)
		}
	}
	if members["error"] == nil {
		return fmt.Errorf("no error")
	}
	if r.Status == 401 && r.Header.Get("WWW-Authenticate") != "Bearer" {
		return fmt.Errorf("no challenge")
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("media type %q", got)
	}
	return nil
}
