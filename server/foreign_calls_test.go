package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// calls are all that somebody else could try with each route on what is Acme's. {token} is where
// the credential goes that is in no header.
func calls(t *testing.T, h *dialecttest.Harness) map[string][]call {
	all := make(map[string][]call)
	publishedCalls(h.Acme, all)
	trackerCalls(h.Acme, all)
	ownCalls(h.Acme, all)
	catalogCalls(h, h.Acme, h.Globex, all)
	personCalls(h.Acme, h.Globex, all)
	reportCalls(h.Acme, all)
	usageCalls(t, h, h.Acme, all)
	all["GET /console/session"] = []call{{path: "/console/session"}}
	all["POST /console/session"] = []call{ // the stranger's own session
		{path: "/console/session", body: `{"credential":"{token}"}`, answers: true},
	}
	return all
}

// publishedCalls are raia's, Memori's, DigitalOcean's and agent700's.
func publishedCalls(o *dialecttest.Organization, all map[string][]call) {
	all["POST /external/resource-usage"] = []call{{
		path: "/external/resource-usage", answers: true, // the reporter's own
		body: fmt.Sprintf(`{"type":"OPENAI_TOKENS","amount":1,"agent_id":%q,"organization_id":%q}`,
			o.MembersAgent.ID, o.ID),
	}}
	for name, whose := range map[string][]string{
		"Tenant": {o.Tenant}, "User": {o.Admin.ID.String(), o.Member.ID.String(), o.Former.ID.String()},
		"Memori": {o.MembersAgent.ID.String(), o.AdminsAgent.ID.String()},
	} {
		route := "GET /api/v2/" + name + "ConsumptionLogs/*"
		for _, one := range whose {
			for _, tail := range []string{"Daily", "Monthly/20200101", "Daily/20200101/20991231/"} {
				all[route] = append(all[route], call{
					path: "/api/v2/" + name + "ConsumptionLogs/{token}/" + one + "/" + tail,
				})
			}
		}
	}
	for _, spelling := range []string{"gen-ai", "genai"} {
		for _, agent := range []uuid.UUID{o.MembersAgent.ID, o.AdminsAgent.ID} {
			route := "GET /v2/" + spelling + "/agents/:uuid/usage"
			all[route] = append(all[route],
				call{path: "/v2/" + spelling + "/agents/" + agent.String() + "/usage?start=2020-01-01"})
		}
	}
	usage := func(user, organization uuid.UUID) call {
		return call{path: "/api/billing/external-usage", crosses: true, body: fmt.Sprintf(
			`{"user_id":%q,"organization_id":%q,"model_name":%q,"input_tokens":1,"output_tokens":1,`+
				`"service_name":%q}`, user, organization, o.Model(), o.Service())}
	}
	all["POST /api/billing/external-usage"] = []call{
		usage(o.Member.ID, o.ID), usage(o.Superadmin.ID, o.ID),
	}
	all["GET /api/billing/user"] = []call{
		{path: "/api/billing/user", answers: true},
		{path: "/api/billing/user?start_date=2020-01-01&end_date=2099-01-01&user_id=" +
			o.Admin.ID.String() + "&organization_id=" + o.ID.String(), answers: true},
	}
	all["POST /api/auth/app-login"] = []call{
		{path: "/api/auth/app-login", body: `{"token":"{token}"}`, answers: true},
	}
}

// trackerCalls are the usage tracker's, at both of its mounts.
func trackerCalls(o *dialecttest.Organization, all map[string][]call) {
	keyed := schema.EventID(o.ID, o.Mark+"-key")
	for _, base := range []string{"/usage", "/api/v1/usage"} {
		all["GET "+base] = []call{
			{path: base + "?limit=1000", answers: true},
			{path: base + "/?user_id=" + o.Admin.ID.String(), answers: true},
		}
		all["POST "+base] = []call{{path: base, answers: true, body: fmt.Sprintf(
			`{"usage_id":%q,"user_id":%q,"api_name":"x","endpoint":"/","units_used":1,"cost_usd":1,`+
				`"api_key_used":"x"}`, o.MembersRecord, o.Member.ID)}}
		for _, user := range []uuid.UUID{o.Superadmin.ID, o.Admin.ID, o.Member.ID, uuid.Nil} {
			all["GET "+base+"/user/:user_id"] = append(all["GET "+base+"/user/:user_id"],
				call{path: base + "/user/" + user.String() + "?limit=1000", answers: true})
		}
		for _, id := range []uuid.UUID{o.MembersRecord, o.AdminsRecord, keyed} {
			one := base + "/" + id.String()
			for method, body := range map[string]string{
				"GET": "", "PUT": `{"units_used":7,"cost_usd":7}`, "DELETE": "",
			} {
				route := method + " " + base + "/:usage_id"
				all[route] = append(all[route], call{path: one, body: body})
			}
		}
	}
}

// ownCalls are the native API's and OpenTelemetry's.
func ownCalls(o *dialecttest.Organization, all map[string][]call) {
	of := func(member string, id uuid.UUID) call {
		return call{path: "/v1/events", body: fmt.Sprintf(`{"usage":{"INPUT":1},%q:%q}`, member, id)}
	}
	keyed := call{path: "/v1/events", answers: true, // another event under the same key
		body: `{"id":"` + o.Mark + `-posted","usage":{"UNITS":1}}`}
	all["POST /v1/events"] = []call{
		of("agent_id", o.MembersAgent.ID), of("agent_id", o.AdminsAgent.ID),
		of("user_id", o.Superadmin.ID), of("user_id", o.Member.ID), of("user_id", o.Former.ID), keyed,
	}
	all["GET /v1/events"] = []call{
		{path: "/v1/events?limit=200&state=all", answers: true},
		{path: "/v1/events?user_id=" + o.Member.ID.String(), answers: true},
		{path: "/v1/events?agent_id=" + o.MembersAgent.ID.String(), answers: true},
		{path: "/v1/events?organization_id=" + o.ID.String(), crosses: true},
	}
	for _, id := range []string{
		o.MembersRecord.String(), o.AdminsRecord.String(), o.Mark + "-key",
		schema.EventID(o.ID, o.Mark+"-key").String(),
	} {
		for route, c := range map[string]call{
			"GET /v1/events/:id":         {path: "/v1/events/" + id},
			"GET /v1/events/:id/history": {path: "/v1/events/" + id + "/history"},
			"PATCH /v1/events/:id":       {path: "/v1/events/" + id, body: `{"usage":{"UNITS":7}}`},
			"DELETE /v1/events/:id":      {path: "/v1/events/" + id + "?reason=x"},
		} {
			all[route] = append(all[route], c)
		}
	}
	span := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",` +
		`"spanId":"0102030405060708","name":"chat","startTimeUnixNano":"1","endTimeUnixNano":"%d",` +
		`"attributes":[{"key":"gen_ai.usage.input_tokens","value":{"intValue":"1"}},` +
		`{"key":%q,"value":{"stringValue":%q}}]}]}]}]}`
	at := time.Now().UnixNano()
	for _, attribute := range [][2]string{
		{"gen_ai.agent.id", o.MembersAgent.ID.String()}, {"gen_ai.agent.name", o.MembersAgent.Name},
		{"enduser.id", o.Member.ID.String()}, {"user.id", o.Member.ID.String()},
	} {
		all["POST /v1/traces"] = append(all["POST /v1/traces"], call{path: "/v1/traces",
			answers: true, body: fmt.Sprintf(span, at, attribute[0], attribute[1])})
	}
}

// everybodys are the kinds of things that belong to no organization.
var everybodys = map[string]bool{"services": true, "meters": true, "text_model_costs": true}

// things adds what can be done to one thing of the catalog by its id.
func things(all map[string][]call, kind, parameters, id, change string) {
	for method, body := range map[string]string{"GET": "", "PATCH": change, "DELETE": ""} {
		route := method + " /v1/admin/" + kind + "/" + parameters
		all[route] = append(all[route], call{
			path: "/v1/admin/" + kind + "/" + id, body: body, crosses: true,
			answers: method == "GET" && everybodys[kind],
		})
	}
}

// catalogCalls are the admin API's about organizations, agents and what is everybody's.
func catalogCalls(
	h *dialecttest.Harness, o, other *dialecttest.Organization, all map[string][]call,
) {
	for _, kind := range []string{
		"organizations", "users", "memberships", "agents", "services", "credentials",
		"meters", "text_model_costs", "stripe_mappings", "audit", "unpriced",
	} {
		list, query := "/v1/admin/"+kind, "?organization_id="+o.ID.String()
		all["GET "+list] = []call{{path: list, answers: true, crosses: true}}
		if !everybodys[kind] && kind != "users" {
			all["GET "+list] = append(all["GET "+list], call{path: list + query, crosses: true})
		}
	}
	post := func(kind, format string, values ...any) {
		route := "POST /v1/admin/" + kind
		all[route] = append(all[route], call{
			path: "/v1/admin/" + kind, body: fmt.Sprintf(format, values...), crosses: true,
		})
	}
	post("organizations", `{"name":"x","tenant":%q}`, o.Tenant)
	post("organizations", `{"id":%q,"name":"x"}`, o.ID)
	things(all, "organizations", ":id", o.ID.String(), `{"name":"taken"}`)
	post("stripe_mappings", `{"organization_id":%q,"customer":"cus_1"}`, o.ID)
	things(all, "stripe_mappings", ":organization_id", o.ID.String(), `{"customer":"cus_1"}`)
	post("services", `{"name":%q}`, o.Service())
	things(all, "services", ":name", o.Service(), `{}`)
	post("meters", `{"name":%q}`, o.Meter())
	things(all, "meters", ":name", o.Meter(), `{"unit":"quantity"}`)
	rates := h.Database.Strings("SELECT toString(id) FROM text_model_costs WHERE model = {model:String}",
		clickhouse.Named("model", o.Model()))
	post("text_model_costs", `{"model":%q,"usage_type":"INPUT","from":"1970-01-01T00:00:00Z",`+
		`"provider_usd_per_million":"0","billed_usd_per_million":"0"}`, o.Model())
	things(all, "text_model_costs", ":id", rates[0], `{"billed_usd_per_million":"0"}`)

	post("agents", `{"name":"x","organization_id":%q}`, o.ID)
	post("agents", `{"name":"x","id":%q}`, o.MembersAgent.ID)
	post("agents", `{"name":"x","owner_id":%q}`, o.Member.ID)
	post("agents", `{"name":"x","organization_id":%q,"owner_id":%q}`, o.ID, other.Admin.ID)
	for _, a := range []dialecttest.Agent{o.MembersAgent, o.AdminsAgent} {
		things(all, "agents", ":id", a.ID.String(), fmt.Sprintf(`{"owner_id":%q}`, other.Admin.ID))
	}
}

// personCalls are the admin API's about people and their credentials.
func personCalls(o, other *dialecttest.Organization, all map[string][]call) {
	post := func(kind, format string, values ...any) {
		route := "POST /v1/admin/" + kind
		all[route] = append(all[route], call{
			path: "/v1/admin/" + kind, body: fmt.Sprintf(format, values...), crosses: true,
		})
	}
	post("users", `{"name":"x","id":%q}`, o.Member.ID)
	post("users", `{"name":"x","organization_id":%q}`, o.ID)
	for _, u := range []dialecttest.User{o.Superadmin, o.Admin, o.Member, o.Former} {
		things(all, "users", ":id", u.ID.String(), `{"name":"taken"}`)
		things(all, "memberships", ":organization_id/:user_id", o.ID.String()+"/"+u.ID.String(),
			`{"active":true,"role":"member"}`)
		post("memberships", `{"organization_id":%q,"user_id":%q}`, o.ID, u.ID)
		post("memberships", `{"organization_id":%q,"user_id":%q,"role":"admin"}`, other.ID, u.ID)
		post("credentials", `{"kind":"access_token","user_id":%q}`, u.ID)
		post("credentials", `{"kind":"app_password","organization_id":%q,"user_id":%q}`, o.ID, u.ID)
	}
	for _, u := range []dialecttest.User{other.Superadmin, other.Admin, other.Member} {
		post("memberships", `{"organization_id":%q,"user_id":%q,"role":"admin"}`, o.ID, u.ID)
		post("credentials", `{"kind":"access_token","organization_id":%q,"user_id":%q}`, o.ID, u.ID)
		things(all, "memberships", ":organization_id/:user_id", o.ID.String()+"/"+u.ID.String(), `{}`)
	}
	for _, a := range []dialecttest.Agent{o.MembersAgent, o.AdminsAgent} {
		post("credentials", `{"kind":"agent_secret","agent_id":%q}`, a.ID)
		post("credentials", `{"kind":"agent_secret","organization_id":%q,"agent_id":%q}`, o.ID, a.ID)
	}
	post("credentials", `{"kind":"agent_secret","agent_id":%q,"secret":%q}`, other.MembersAgent.ID,
		o.MembersAgent.Token)
	for _, s := range o.Secrets() {
		k := schema.Credential{Kind: s.Kind, Hash: schema.HashSecret(s.Text)}
		things(all, "credentials", ":id", k.ID().String(), `{"name":"taken"}`)
		things(all, "credentials", ":id", strings.ToUpper(k.ID().String()), `{"expires_at":null}`)
	}
}
