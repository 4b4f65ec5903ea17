package agent700_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// The published contract line by line, and what proves each line. A test without a package is
// TestConformance here; "suite" is TestSuite with the named part of dialecttest.
//
//	POST /api/billing/external-usage        §3 the documentation's own curl
//	Bearer: app password or access token    §3 bearer: …; suite Credentials
//	JWT access token                        §3 app-login: its token is a bearer
//	superadmin of any organization          §3 403 …; suite Access
//	X-Organization-ID and others ignored    §3 headers of other clients
//	names and aliases                       §3 alias …; TestDecodeTakesAliases
//	integers: 10.0, not "10", 10.5, true    §3 integer …; TestDecodeIntegers; suite Quantities
//	service and model must exist            §3 400: unknown …
//	channel has a default                   §3 channel …
//	serviceCost, agent700Cost               §3 costs: …
//	row in user_billable_request_logs       §3 row: …
//	linked to the service, no agent         §3 row: …
//	201, camelCase                          every accepted one
//	400 missing, 400 validation             §3 400: …
//	401: three texts                        §3 401: …
//	404: user, organization                 §3 404: …
//	500                                     TestUsageExchanges; suite Panics, Failures
//	order of the checks                     §3 order: …
//	0/0 costs 0                             §3 zero
//	Idempotency-Key, our addition           §3 retry: …
//	app-login                               §3 app-login: …
//	GET /api/billing/user                   §3 read-back: …
func TestConformance(t *testing.T) {
	h := dialecttest.New(t)
	h.Conform(t, accepted(h))
	h.Conform(t, refused(h))
	h.Conform(t, logins(h))
	t.Run("§3 row: visible, of a service, without an agent", func(t *testing.T) { row(t, h) })
	t.Run("§3 retry: one row, the same answer", func(t *testing.T) { retry(t, h) })
	t.Run("§3 app-login: its token is a bearer", func(t *testing.T) { issued(t, h) })
	t.Run("§3 read-back: as the CLI reads it", func(t *testing.T) { readBack(t, h) })
}

var asJSON = []string{"Content-Type", "application/json"}

// logged is the documentation's sample request with another body.
func logged(h *dialecttest.Harness, body string) dialecttest.Request {
	return ask(h.Acme.Superadmin.Secret(schema.AppPassword), "POST", pathUsage, body).
		With("Content-Type", "application/json")
}

// sample is the documentation's body; members are replaced by name.
func sample(h *dialecttest.Harness, members ...string) string {
	body := fmt.Sprintf(`{"user_id":%q,"organization_id":%q,"model_name":%q,"input_tokens":1200,`+
		`"output_tokens":350,"service_name":%q}`,
		h.Acme.Member.ID, h.Acme.ID, h.Acme.Model(), h.Acme.Service())
	for i := 0; i+1 < len(members); i += 2 {
		_, rest, _ := strings.Cut(body, `"`+members[i]+`":`)
		old := `"` + members[i] + `":` + rest[:strings.IndexAny(rest, ",}")]
		body = strings.Replace(body, old, members[i+1], 1)
	}
	return body
}

// answer is the body of a 201.
func answer(h *dialecttest.Harness, in, out, channel, provider, billed string) string {
	return fmt.Sprintf(`{"message":"External usage logged successfully","id":"«uuid»","userId":%q,`+
		`"organizationId":%q,"serviceName":%q,"modelName":%q,"inputTokens":%s,"outputTokens":%s,`+
		`"channel":%q,"serviceCost":%s,"agent700Cost":%s,"createdAt":"«instant»"}`,
		h.Acme.Member.ID, h.Acme.ID, h.Acme.Service(), h.Acme.Model(), in, out, channel, provider, billed)
}

func accepted(h *dialecttest.Harness) []dialecttest.Row {
	const provider, billed = "0.0002325", "0.00030225" // of 1550 tokens
	ok := func(name string, r dialecttest.Request, body string) dialecttest.Row {
		return dialecttest.Row{
			Name: "§3 " + name, Request: r, Status: 201, Header: asJSON, Body: body,
		}
	}
	usual := answer(h, "1200", "350", "external_api", provider, billed)
	member := func(name, text, body string) dialecttest.Row {
		if text == "" {
			text = `"x":null`
		}
		return ok(name, logged(h, sample(h, "service_name",
			fmt.Sprintf(`"service_name":%q,%s`, h.Acme.Service(), text))), body)
	}
	alias := func(field, alias string) dialecttest.Row {
		body := strings.Replace(sample(h), `"`+field+`"`, `"`+alias+`"`, 1)
		return ok("alias "+alias, logged(h, body), usual)
	}
	rows := []dialecttest.Row{
		ok("the documentation's own curl", logged(h, sample(h)), usual),
		ok("bearer: an access token, the scheme in any case", ask(dialecttest.Secret{}, "POST", pathUsage,
			sample(h)).With("Authorization", "bEARER "+h.Acme.Superadmin.AccessToken), usual),
		ok("headers of other clients are ignored", logged(h, sample(h)).With(
			"X-Organization-ID", h.Globex.ID.String(), "X-Screen-Resolution", "1920x1080",
			"X-Timezone-Offset", "60", "X-Device-Fingerprint", "abc"), usual),
		ok("superadmin of another organization", ask(h.Globex.Superadmin.Secret(schema.AppPassword),
			"POST", pathUsage, sample(h)), usual),
		ok("integer: 10.0 and 1e1 are 10", logged(h, sample(h, "input_tokens", `"input_tokens":10.0`,
			"output_tokens", `"output_tokens":1e1`)),
			answer(h, "10", "10", "external_api", "0.000003", "0.0000039")),
		ok("zero tokens cost zero", logged(h, sample(h, "input_tokens", `"input_tokens":0`,
			"output_tokens", `"output_tokens":0`)), answer(h, "0", "0", "external_api", "0", "0")),
		ok("costs: exact beyond 2^53", logged(h, sample(h, "input_tokens", `"input_tokens":999999999999`,
			"output_tokens", `"output_tokens":999999999999`)), answer(h, "999999999999", "999999999999",
			"external_api", "299999.9999997", "389999.99999961")),
		member("channel is the client's", `"channel":"voice"`,
			answer(h, "1200", "350", "voice", provider, billed)),
		member("channel null is the default", `"channel":null`, usual),
		member(`channel "" is the default`, `"channel":""`, usual),
		member("unknown members are ignored", `"currency":"EUR"`, usual),
		member("aliases that agree", `"model":"`+h.Acme.Model()+`","prompt_tokens":1.2e3`, usual),
	}
	for field, names := range map[string][]string{
		"user_id": {"userId"}, "organization_id": {"organizationId", "org_id"},
		"model_name": {"modelName", "model"}, "service_name": {"serviceName"},
		"input_tokens":  {"inputTokens", "prompt_tokens", "promptTokens"},
		"output_tokens": {"outputTokens", "completion_tokens", "completionTokens"},
	} {
		for _, name := range names {
			rows = append(rows, alias(field, name))
		}
	}
	return rows
}

func refused(h *dialecttest.Harness) []dialecttest.Row {
	no := func(name string, r dialecttest.Request, status int, body string) dialecttest.Row {
		header := asJSON
		if status == 401 {
			header = append([]string{"WWW-Authenticate", "Bearer"}, asJSON...)
		}
		return dialecttest.Row{
			Name: "§3 " + name, Request: r, Status: status, Header: header, Body: body,
		}
	}
	as := func(token, body string) dialecttest.Request {
		return ask(dialecttest.Secret{Text: token}, "POST", pathUsage, body)
	}
	bad := func(name, member, text, detail string) dialecttest.Row {
		return no(name, logged(h, sample(h, member, text)), 400,
			`{"error":"Validation failed","details":["`+detail+`"]}`)
	}
	const (
		denied   = `{"error":"Insufficient permissions: superadmin role required"}`
		badApp   = `{"error":"Invalid app password token"}`
		badToken = `{"error":"Invalid or expired token"}`
		noHeader = `{"error":"Authentication required"}`
		noInt    = "input_tokens must be an integer >= 0"
	)
	rows := []dialecttest.Row{
		no("401: no header", as("", sample(h)), 401, noHeader),
		no("401: another scheme", as("", sample(h)).With("Authorization", "Basic eDp5"), 401, noHeader),
		no("401: an unknown app password", as("app_a7_x", sample(h)), 401, badApp),
		no("401: a former member's app password", as(h.Acme.Former.AppPassword, sample(h)), 401, badApp),
		no("401: an unknown token", as("x", sample(h)), 401, badToken),
		no("401: a forged JWT", as("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.eA", sample(h)), 401, badToken),
		no("401: an agent's secret", as(h.Acme.AdminsAgent.Token, sample(h)), 401, badToken),
		no("403: an admin", as(h.Acme.Admin.AppPassword, sample(h)), 403, denied),
		no("403: a member", as(h.Acme.Member.AccessToken, sample(h)), 403, denied),
		no("order: 401 before the body", as("x", "{"), 401, badToken),
		no("order: 403 before the body", as(h.Acme.Admin.AppPassword, "{"), 403, denied),
		no("order: a bad body before the user", logged(h, sample(h, "user_id",
			`"user_id":"`+uuid.NewString()+`"`, "input_tokens", `"input_tokens":-1`)), 400,
			`{"error":"Validation failed","details":["`+noInt+`"]}`),
		no("order: the user before the service", logged(h, sample(h, "user_id",
			`"user_id":"`+uuid.NewString()+`"`, "service_name", `"service_name":"foo"`)), 404,
			`{"error":"User not found"}`),
		no("404: an unknown organization", logged(h, sample(h, "organization_id",
			`"organization_id":"`+uuid.NewString()+`"`)), 404, `{"error":"Organization not found"}`),
		no("404: another organization's user", logged(h, sample(h, "user_id",
			`"user_id":"`+h.Globex.Member.ID.String()+`"`)), 404, `{"error":"User not found"}`),
		no("400: unknown service", logged(h, sample(h, "service_name", `"service_name":"foo"`)), 400,
			`{"error":"Unknown service_name: foo"}`),
		no("400: unknown model", logged(h, sample(h, "model_name", `"model_name":"foo"`)), 400,
			`{"error":"Unknown model_name: foo"}`),
		no("400: no JSON", logged(h, "{"), 400, `{"error":"Request body must be a JSON object"}`),
		bad("400: not a uuid", "user_id", `"user_id":"x"`, "user_id must be a UUID"),
		bad("400: aliases that disagree", "input_tokens", `"input_tokens":1,"promptTokens":2`,
			"promptTokens must be the same as input_tokens"),
		bad("400: the same name twice", "input_tokens", `"input_tokens":1,"input_tokens":2`,
			"input_tokens must be given once"),
		bad("integer: 13 digits", "input_tokens", `"input_tokens":1000000000000`,
			"input_tokens must be at most 999999999999"),
		{
			Name: "§3 405", Request: ask(dialecttest.Secret{}, "GET", pathUsage, ""), Status: 405,
			Header: append([]string{"Allow", "POST"}, asJSON...), Body: `{"error":"Method Not Allowed"}`,
		},
		no("404: another path", ask(dialecttest.Secret{}, "POST", "/api/auth/refresh", ""), 404,
			`{"error":"Not Found"}`),
		no("415", logged(h, sample(h)).With("Content-Encoding", "br"), 415,
			`{"error":"Content-Encoding: must be gzip, zstd or absent"}`),
	}
	for _, literal := range []string{"10.5", `"10"`, "true", "-1"} {
		rows = append(rows,
			bad("integer: not "+literal, "input_tokens", `"input_tokens":`+literal, noInt))
	}
	for _, name := range []string{
		"user_id", "organization_id", "model_name", "input_tokens", "output_tokens", "service_name",
	} {
		rows = append(rows, no("400: missing "+name, logged(h, sample(h, name, `"x":1`)), 400,
			`{"error":"Missing required field: `+name+`"}`))
	}
	return rows
}

func logins(h *dialecttest.Harness) []dialecttest.Row {
	login := func(body string) dialecttest.Request {
		return ask(dialecttest.Secret{}, "POST", pathLogin, body)
	}
	no := func(name, body string, status int, text string) dialecttest.Row {
		header := asJSON
		if status == 401 {
			header = append([]string{"WWW-Authenticate", "Bearer"}, asJSON...)
		}
		return dialecttest.Row{
			Name: "§3 app-login: " + name, Request: login(body), Status: status, Header: header,
			Body: `{"error":"` + text + `"}`,
		}
	}
	token := func(s string) string { return `{"token":"` + s + `"}` }
	const wrong = "Invalid app password token"
	return []dialecttest.Row{
		no("unknown", token("app_a7_x"), 401, wrong),
		no("a former member's", token(h.Acme.Former.AppPassword), 401, wrong),
		no("an access token", token(h.Acme.Admin.AccessToken), 401, wrong),
		no("no token", `{}`, 400, "Missing required field: token"),
		no("no JSON", `token=x`, 400, "Request body must be a JSON object"),
		no("too large", token(strings.Repeat("x", 5000)), 413, "the body must have at most 4096 bytes"),
	}
}

// post sends a body that is to be accepted and returns the answer's members.
func post(t *testing.T, h *dialecttest.Harness, body string, header ...string) map[string]any {
	t.Helper()
	got := h.Do(t, logged(h, body).With(header...))
	var members map[string]any
	if err := json.Unmarshal(got.Body, &members); err != nil || got.Status != 201 {
		t.Fatalf("%v, %v", got, err)
	}
	return members
}

// row finds an answer's row where its documentation says that it is.
func row(t *testing.T, h *dialecttest.Harness) {
	id := post(t, h, sample(h, "service_name", fmt.Sprintf(
		`"service_name":%q,"channel":"a row"`, h.Acme.Service())))["id"].(string)
	h.Flush(t)
	got := h.Database.Strings(`SELECT concatWithSeparator(' ', toString(r.id), toString(r.user_id),
			ifNull(toString(r.agent_id), 'NULL'), s.name, r.model_name, toString(r.input_tokens),
			toString(r.output_tokens), r.channel, toString(r.service_cost),
			toString(r.agent700_cost), toString(r.revision), toString(r.unpriced))
		FROM user_billable_request_logs AS r INNER JOIN services AS s ON s.name = r.service_name
		WHERE r.organization_id = {organization:UUID} AND r.channel = 'a row'`,
		clickhouse.Named("organization", h.Acme.ID.String()))
	want := fmt.Sprintf("%s %s NULL %s %s 1200 350 a row 0.0002325 0.00030225 0 0",
		id, h.Acme.Member.ID, h.Acme.Service(), h.Acme.Model())
	if len(got) != 1 || got[0] != want {
		t.Errorf("%q, want one: %q", got, want)
	}
}

// retry sends a request again, with its key: at once, once it is stored, and with another body.
func retry(t *testing.T, h *dialecttest.Harness) {
	const key = "billing run 7"
	request := logged(h, sample(h)).With("Idempotency-Key", key)
	first := h.Do(t, request)
	if first.Status != 201 {
		t.Fatal(first)
	}
	rows := h.Rows(t)
	other := request
	other.Body = sample(h, "input_tokens", `"input_tokens":7`)
	for _, r := range []dialecttest.Request{request, other} {
		if got := h.Do(t, r); string(got.Body) != string(first.Body) || got.Status != 201 {
			t.Errorf("retry: %v, want %v", got, first)
		}
	}
	if now := h.Rows(t); now != rows {
		t.Errorf("%s rows became %s", rows, now)
	}
	// A key that counts something else in the organization is no retry of this.
	event := dialecttest.Request{Method: "POST", Path: "/v1/events", Body: `{"usage":{"INPUT":1}}`}.
		With("Authorization", "Bearer "+h.Acme.Admin.AccessToken, "Idempotency-Key", "an event")
	if got := h.Do(t, event); got.Status != 201 {
		t.Fatal(got)
	}
	got := h.Do(t, logged(h, sample(h)).With("Idempotency-Key", "an event"))
	if got.Status != 409 || !strings.Contains(string(got.Body), "used for something else") {
		t.Errorf("an event's key: %v", got)
	}
}

// issued exchanges an app password and uses what it gets.
func issued(t *testing.T, h *dialecttest.Harness) {
	login := ask(dialecttest.Secret{}, "POST", pathLogin,
		fmt.Sprintf(`{"token":%q}`, h.Acme.Superadmin.AppPassword))
	unsaid := strings.NewReader(login.Body + strings.Repeat(" ", 4096)) // in chunks
	if got := h.Send(t, login, unsaid, -1); got.Status != 413 {
		t.Errorf("a body that does not say how large it is: %v", got)
	}
	got := h.Do(t, login)
	var session struct {
		AccessToken         string
		ExpiresIn           int
		OrganizationsRoles  []struct{ Name, ID, Role string }
		DefaultOrganization struct{ ID, Name string }
	}
	if err := json.Unmarshal(got.Body, &session); err != nil || got.Status != 200 {
		t.Fatalf("%v, %v", got, err)
	}
	if got.Header.Get("Cache-Control") != "no-store" || session.ExpiresIn != 28800 ||
		len(session.OrganizationsRoles) != 1 || session.OrganizationsRoles[0].Role != "superadmin" ||
		session.DefaultOrganization.ID != h.Acme.ID.String() {
		t.Errorf("session %+v, %v", session, got.Header)
	}
	used := h.Do(t, ask(dialecttest.Secret{Text: session.AccessToken}, "POST", pathUsage, sample(h)))
	if used.Status != 201 {
		t.Errorf("with the token: %v", used)
	}
}

// readBack logs for a user and asks as that user, as the command line client does.
func readBack(t *testing.T, h *dialecttest.Harness) {
	user := h.Globex.Admin
	body := fmt.Sprintf(`{"user_id":%q,"organization_id":%q,"model_name":%q,"input_tokens":1000000,`+
		`"output_tokens":%%d,"service_name":%q}`,
		user.ID, h.Globex.ID, h.Globex.Model(), h.Globex.Service())
	post(t, h, fmt.Sprintf(body, 0))
	id := post(t, h, fmt.Sprintf(body, 1))["id"].(string)
	h.Flush(t)
	today := time.Now().UTC()
	days := "?start_date=" + today.AddDate(0, 0, -1).Format(time.DateOnly) +
		"&end_date=" + today.Format(time.DateOnly)
	ask := func(query string) string {
		t.Helper()
		got := h.Do(t, ask(user.Secret(schema.AppPassword), "GET", pathUser+query, ""))
		if got.Status != 200 {
			t.Fatal(got)
		}
		return string(got.Body)
	}
	got := ask(days)
	const total = "0.390000195" // 2,000,001 tokens at 0.195 a million, and the seed's unpriced event
	for _, want := range []string{
		`{"totalAgent700Cost":` + total + `,"totalCost":` + total + `,"billingLogs":[{"id":"` + id + `",`,
		`"promptTokens":1000000,"completionTokens":1,"agent700Cost":0.195000195,`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := ask("?start_date=2020-01-01&end_date=2020-12-31"); got !=
		`{"totalAgent700Cost":0,"totalCost":0,"billingLogs":[]}` {
		t.Errorf("a year without: %s", got)
	}
}
