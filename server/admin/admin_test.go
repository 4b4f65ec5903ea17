package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// client asks as one user.
type client struct {
	t    *testing.T
	node *dialecttest.Node
	as   dialecttest.Secret
}

// do asks, fails the test unless the status is as wanted, and returns the answer's members.
func (c client) do(method, path, body string, want int) map[string]any {
	c.t.Helper()
	got := c.node.Do(c.t, ask(c.as, method, path, body))
	if got.Status != want {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got.Status, want, got.Body)
	}
	members := make(map[string]any)
	if len(got.Body) > 0 {
		if err := json.Unmarshal(got.Body, &members); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, got.Body)
		}
	}
	if location := got.Header.Get("Location"); want == http.StatusCreated {
		again := c.node.Do(c.t, ask(c.as, "GET", strings.TrimPrefix(location, base), ""))
		if again.Status != http.StatusOK {
			c.t.Fatalf("Location %q: %v", location, again)
		}
		members["location"] = location
	}
	if got.Header.Get("Cache-Control") != "no-store" && want < 300 && want != http.StatusNoContent {
		c.t.Errorf("%s %s: may be kept", method, path)
	}
	return members
}

// refused asks for what cannot be done, and checks the member at fault.
func (c client) refused(method, path, body string, want int, field string) {
	c.t.Helper()
	members := c.do(method, path, body, want)
	items, _ := members["errors"].([]any)
	if field == "" && items == nil {
		return
	}
	if len(items) != 1 || items[0].(map[string]any)["field"] != field {
		c.t.Errorf("%s %s %s: %v, want the field %q", method, path, body, members, field)
	}
}

// ids returns the ids of a whole list, page by page.
func (c client) ids(path string, limit int) []string {
	c.t.Helper()
	var all []string
	cursor := ""
	for {
		page := c.do("GET", fmt.Sprintf("%s?limit=%d%s", path, limit, cursor), "", 200)
		items := page["items"].([]any)
		if len(items) > limit || len(items) == 0 && cursor != "" {
			c.t.Fatalf("a page of %d with %d items", limit, len(items))
		}
		for _, item := range items {
			all = append(all, item.(map[string]any)["id"].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			return all
		}
		cursor = "&cursor=" + next
	}
}

func open(t *testing.T) (*dialecttest.Harness, client) {
	h := dialecttest.New(t)
	return h, client{t, h.Node, token(h.Acme.Superadmin)}
}

// Every kind of thing is made, read, changed and retired, and refuses what is there, what refers to
// nothing, and what cannot be changed.
func TestThingsComeAndGo(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	o := h.Acme
	id := uuid.NewString()
	const missing = "12345678-1234-4234-8234-123456789012"

	made := c.do("POST", "organizations", `{"id":"`+id+`","name":"New","tenant":"new.example"}`, 201)
	if made["id"] != id || made["tenant"] != "new.example" {
		t.Errorf("organization %v", made)
	}
	c.refused("POST", "organizations", `{"id":"`+id+`","name":"New"}`, 409, "id")
	c.refused("POST", "organizations", `{"name":"New","tenant":"new.example"}`, 409, "tenant")
	c.refused("PATCH", "organizations/"+id, `{"tenant":"`+o.Tenant+`"}`, 409, "tenant")
	c.refused("PATCH", "organizations/"+id, `{"id":"`+missing+`"}`, 422, "id")
	c.refused("POST", "organizations", `{}`, 422, "name")
	if got := c.do("PATCH", "organizations/"+id, `{"tenant":null}`, 200); got["tenant"] != "" ||
		got["name"] != "New" {
		t.Errorf("changed organization %v", got)
	}

	mapping := "stripe_mappings/" + id
	c.do("GET", mapping, "", 404)
	c.do("POST", "stripe_mappings", `{"organization_id":"`+id+`","customer":"cus_1"}`, 201)
	c.refused("POST", "stripe_mappings", `{"organization_id":"`+id+`","customer":"cus_2"}`, 409,
		"organization_id")
	c.refused("POST", "stripe_mappings", `{"organization_id":"`+missing+`","customer":"c"}`, 404,
		"organization_id")
	c.refused("PATCH", mapping, `{"customer":null}`, 422, "customer")
	if got := c.do("PATCH", mapping, `{"meter":"m"}`, 200); got["customer"] != "cus_1" {
		t.Errorf("mapping %v", got)
	}
	if got := c.do("GET", "organizations/"+id, "", 200); got["name"] != "New" {
		t.Errorf("a mapping changed %v", got)
	}
	c.do("DELETE", mapping, "", 204)
	c.do("DELETE", mapping, "", 404)

	user := c.do("POST", "users", `{"name":"Ann","email":"ann@new.example"}`, 201)["id"].(string)
	c.refused("POST", "users", `{"id":"`+user+`","name":"Ann"}`, 409, "id")
	c.refused("POST", "users", `{"name":"Ann","role":"member"}`, 422, "role")
	member := "memberships/" + id + "/" + user
	join := `{"organization_id":"` + id + `","user_id":"` + user + `","role":"member"}`
	c.do("POST", "memberships", join, 201)
	c.refused("POST", "memberships", join, 409, "user_id")
	c.refused("POST", "memberships", `{"user_id":"`+missing+`","role":"member"}`, 422, "user_id")
	if got := c.do("PATCH", member, `{"role":"admin"}`, 200); got["active"] != true {
		t.Errorf("membership %v", got)
	}
	c.refused("PATCH", member, `{"user_id":"`+missing+`"}`, 422, "user_id")

	ofNew := `"organization_id":"` + id + `"`
	c.refused("POST", "agents", `{"name":"A",`+ofNew+`,"owner_id":"`+o.Member.ID.String()+`"}`,
		422, "owner_id")
	c.refused("POST", "agents", `{"name":"A","id":"`+h.Globex.MembersAgent.ID.String()+`"}`, 409, "id")
	agent := c.do("POST", "agents", `{"name":"A",`+ofNew+`,"owner_id":"`+user+`"}`, 201)["id"].(string)
	c.refused("PATCH", "agents/"+agent, `{`+ofNew+`}`, 422, "organization_id")
	if got := c.do("PATCH", "agents/"+agent, `{"owner_id":null}`, 200); got["owner_id"] != nil {
		t.Errorf("agent %v", got)
	}
	c.do("PATCH", member, `{"active":false}`, 200)
	c.refused("PATCH", "agents/"+agent, `{"owner_id":"`+user+`"}`, 422, "owner_id")
	c.do("DELETE", "agents/"+agent, "", 204)
	c.do("GET", "agents/"+agent, "", 404)
	c.do("PATCH", "agents/"+agent, "{}", 404)
	c.do("DELETE", "agents/"+agent, "", 404)

	name := "speech/to text ü"
	made = c.do("POST", "services", fmt.Sprintf(`{"name":%q}`, name), 201)
	if want := "/v1/admin/services/" + url.PathEscape(name); made["location"] != want {
		t.Errorf("Location %v, want %s", made["location"], want)
	}
	c.refused("POST", "services", fmt.Sprintf(`{"name":%q}`, name), 409, "name")
	c.refused("PATCH", "services/"+url.PathEscape(name), `{"name":"x"}`, 422, "name")
	c.do("PATCH", "services/"+url.PathEscape(name), `{}`, 200)
	c.do("DELETE", "services/"+url.PathEscape(name), "", 204)

	c.do("DELETE", member, "", 204)
	c.do("DELETE", "users/"+user, "", 204)
	c.do("DELETE", "organizations/"+id, "", 204)
	c.do("GET", "organizations/"+id, "", 404)
	c.do("POST", "organizations", `{"id":"`+id+`","name":"Again"}`, 201) // an id may be used again
}

// A rate is what its id says for ever: other prices are another rate in its place.
func TestRates(t *testing.T) {
	t.Parallel()
	_, c := open(t)
	const prices = `"provider":"OpenAI","provider_usd_per_million":0.15,` +
		`"billed_usd_per_million":"0.1950"`
	body := `{"model":"gpt","usage_type":"INPUT","from":"2026-01-01",` + prices + `}`
	made := c.do("POST", "text_model_costs", body, 201)
	if made["provider_usd_per_million"] != "0.15" || made["billed_usd_per_million"] != "0.195" ||
		made["from"] != "2026-01-01T00:00:00Z" {
		t.Errorf("rate %v", made)
	}
	id := made["id"].(string)
	c.refused("POST", "text_model_costs", body, 409, "from")
	c.refused("POST", "text_model_costs", strings.Replace(body, "INPUT", "input", 1), 422,
		"usage_type")
	c.refused("POST", "text_model_costs", strings.Replace(body, "0.15", "-1", 1), 422,
		"provider_usd_per_million")
	c.refused("POST", "text_model_costs", strings.Replace(body, "0.15", "1e-13", 1), 422,
		"provider_usd_per_million")
	c.refused("PATCH", "text_model_costs/"+id, `{"from":"2027-01-01"}`, 422, "from")
	later := strings.Replace(body, "2026-01-01", "2026-06-01T00:00:00.5Z", 1)
	c.do("POST", "text_model_costs", later, 201)

	changed := c.do("PATCH", "text_model_costs/"+id, `{"billed_usd_per_million":0.2}`, 200)
	if changed["id"] == id || changed["billed_usd_per_million"] != "0.2" ||
		changed["provider_usd_per_million"] != "0.15" {
		t.Errorf("changed rate %v", changed)
	}
	c.do("GET", "text_model_costs/"+id, "", 404)
	all := c.ids("text_model_costs", 1)
	if !slices.Contains(all, changed["id"].(string)) || slices.Contains(all, id) {
		t.Errorf("rates %v", all)
	}
	c.do("DELETE", "text_model_costs/"+changed["id"].(string), "", 204)
}

// A secret is told once, by the answer that makes it; what it opens is told by nothing.
func TestSecretsAreToldOnce(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	o := h.Acme
	works := func(secret string, kind schema.CredentialKind) int {
		t.Helper()
		r := dialecttest.Request{Method: "POST", Path: "/v1/events", Body: `{"usage":{"INPUT":1}}`}
		if kind == schema.AgentSecret {
			return h.Do(t, r.With("Agent-Secret-Key", secret)).Status
		}
		return h.Do(t, r.With("Authorization", "Bearer "+secret)).Status
	}
	var made []string
	post := func(body string) map[string]any {
		t.Helper()
		answer := c.do("POST", "credentials", body, 201)
		if secret, ok := answer["secret"].(string); ok {
			made = append(made, secret)
		}
		return answer
	}
	member, agent := o.Member.ID.String(), o.MembersAgent.ID.String()
	token := post(`{"kind":"access_token","user_id":"` + member + `","name":"laptop",` +
		`"expires_at":"2099-01-01T00:00:00Z","requests_per_minute":60}`)
	password := post(`{"kind":"app_password","user_id":"` + member + `"}`)
	agents := post(`{"kind":"agent_secret","agent_id":"` + agent + `"}`)
	login := post(`{"kind":"login_token"}`)
	if login["user_id"] != o.Superadmin.ID.String() || len(made) != 4 {
		t.Errorf("%v, %d secrets", login, len(made))
	}
	const given = "a-secret-of-my-own"
	hash := fmt.Sprintf("%X", schema.HashSecret("given-by-its-hash"))
	for _, answer := range []map[string]any{
		post(`{"kind":"access_token","secret":"` + given + `"}`),
		post(`{"kind":"access_token","sha256":"` + hash + `"}`),
	} {
		if _, told := answer["secret"]; told {
			t.Error("a secret is told to whoever gave it")
		}
	}
	for secret, kind := range map[string]schema.CredentialKind{
		made[0]: schema.AccessToken, made[1]: schema.AppPassword, made[2]: schema.AgentSecret,
		given: schema.AccessToken, "given-by-its-hash": schema.AccessToken,
	} {
		if status := works(secret, kind); status != http.StatusCreated {
			t.Errorf("%s opens nothing: %d", secret, status)
		}
	}

	list := h.Do(t, ask(c.as, "GET", "credentials?limit=1000", "")).Body
	one := h.Do(t, ask(c.as, "GET", "credentials/"+token["id"].(string), "")).Body
	audited := h.Do(t, ask(c.as, "GET", "audit?limit=1000", "")).Body
	hidden := append(made, given, "given-by-its-hash")
	for _, secret := range slices.Clone(hidden) {
		hidden = append(hidden, fmt.Sprintf("%x", schema.HashSecret(secret)))
	}
	for what, text := range map[string]string{
		"the list": string(list), "GET": string(one), "the record": string(audited),
		"the log": h.Log.String(),
	} {
		for _, secret := range hidden {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s shows %s", what, secret)
			}
		}
		if !strings.Contains(text, token["id"].(string)) && what != "the log" {
			t.Errorf("%s does not show the credential", what)
		}
	}
	want := `{"id":"` + token["id"].(string) + `","kind":"access_token","name":"laptop",` +
		`"organization_id":"` + o.ID.String() + `","user_id":"` + member + `","agent_id":null,` +
		`"expires_at":"2099-01-01T00:00:00Z","requests_per_minute":60}`
	if string(one) != want {
		t.Errorf("GET shows %s, want %s", one, want)
	}

	path := "credentials/" + password["id"].(string)
	c.refused("POST", "credentials", `{"kind":"access_token","secret":"`+given+`"}`, 409, "secret")
	c.refused("POST", "credentials", `{"kind":"app_password","secret":"`+made[0]+`"}`, 409, "secret")
	c.refused("POST", "credentials", `{"kind":"access_token","secret":"fifteen-letters"}`, 422,
		"secret")
	c.refused("POST", "credentials", `{"kind":"access_token","secret":"with a space inside"}`, 422,
		"secret")
	c.refused("POST", "credentials", `{"kind":"access_token","sha256":"`+hash[1:]+`"}`, 422, "sha256")
	c.refused("POST", "credentials", `{"kind":"access_token","sha256":"`+hash+`","secret":"`+given+
		`"}`, 422, "sha256")
	c.refused("POST", "credentials", `{"kind":"agent_secret"}`, 422, "agent_id")
	c.refused("POST", "credentials", `{"kind":"agent_secret","agent_id":"`+agent+`","user_id":"`+
		member+`"}`, 422, "user_id")
	c.refused("POST", "credentials", `{"kind":"access_token","agent_id":"`+agent+`"}`, 422, "agent_id")
	c.refused("POST", "credentials", `{"kind":"access_token","expires_at":"2020-01-01"}`, 422,
		"expires_at")
	c.refused("POST", "credentials", `{}`, 422, "kind")
	c.refused("PATCH", path, `{"kind":"access_token"}`, 422, "kind")
	c.refused("PATCH", path, `{"secret":"`+given+`"}`, 422, "secret")
	c.do("PATCH", path, `{"name":"phone","expires_at":"2098-01-01"}`, 200)
	if got := c.do("PATCH", path, `{"expires_at":null}`, 200); got["expires_at"] != nil ||
		got["name"] != "phone" || got["id"] != password["id"] {
		t.Errorf("changed credential %v", got)
	}
	c.do("DELETE", path, "", 204)
	if status := works(made[1], schema.AppPassword); status != http.StatusUnauthorized {
		t.Errorf("a retired credential still gets %d", status)
	}
	c.do("DELETE", "credentials/"+agents["id"].(string), "", 204)
}

// What is retired takes what it opened with it, and what is made again under its id opens nothing
// to the secrets of before.
func TestRetiringEndsCredentials(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	as := func(s dialecttest.Secret) int {
		t.Helper()
		if s.Kind == schema.AgentSecret {
			r := dialecttest.Request{Method: "POST", Path: "/v1/events", Body: `{"usage":{"INPUT":1}}`}
			return h.Do(t, r.With("Agent-Secret-Key", s.Text)).Status
		}
		return h.Do(t, dialecttest.Request{Method: "GET", Path: "/usage"}.With(
			"Authorization", "Bearer "+s.Text)).Status
	}
	expect := func(what string, s dialecttest.Secret, in bool) {
		t.Helper()
		if status := as(s); (status < 300) != in || !in && status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want it let in: %v", what, status, in)
		}
	}
	o, other := h.Acme, h.Globex
	expect("an agent", o.AdminsAgent.Secret(), true)
	c.do("DELETE", "agents/"+o.AdminsAgent.ID.String(), "", 204)
	expect("a retired agent", o.AdminsAgent.Secret(), false)
	c.do("POST", "agents", `{"name":"x","id":"`+o.AdminsAgent.ID.String()+`"}`, 201)
	expect("another agent of the same id", o.AdminsAgent.Secret(), false)

	expect("a member", token(o.Member), true)
	c.do("PATCH", "memberships/"+o.ID.String()+"/"+o.Member.ID.String(), `{"active":false}`, 200)
	expect("a member who is not active", token(o.Member), false)
	c.do("PATCH", "memberships/"+o.ID.String()+"/"+o.Member.ID.String(), `{"active":true}`, 200)
	expect("a member who is active again", token(o.Member), true)
	c.do("DELETE", "users/"+o.Member.ID.String(), "", 204)
	expect("a retired user", token(o.Member), false)
	c.do("GET", "memberships/"+o.ID.String()+"/"+o.Member.ID.String(), "", 404)
	expect("a retired user's agent", o.MembersAgent.Secret(), true)
	agent := c.do("GET", "agents/"+o.MembersAgent.ID.String(), "", 200)
	if agent["owner_id"] != nil {
		t.Errorf("the owner of %v is retired", agent)
	}
	c.do("POST", "users", `{"id":"`+o.Member.ID.String()+`","name":"x","role":"member",`+
		`"organization_id":"`+o.ID.String()+`"}`, 201)
	expect("another user of the same id", token(o.Member), false)

	c.do("DELETE", "memberships/"+o.ID.String()+"/"+o.Admin.ID.String(), "", 204)
	expect("a former member", token(o.Admin), false)
	c.do("GET", "users/"+o.Admin.ID.String(), "", 200)

	expect("another organization's", token(other.Admin), true)
	c.do("DELETE", "organizations/"+other.ID.String(), "", 204)
	expect("a retired organization's user", token(other.Admin), false)
	expect("a retired organization's agent", other.MembersAgent.Secret(), false)
	c.do("POST", "organizations", `{"id":"`+other.ID.String()+`","name":"x"}`, 201)
	again := `{"organization_id":"` + other.ID.String() + `",`
	c.do("POST", "memberships", again+`"role":"admin","user_id":"`+other.Admin.ID.String()+`"}`, 201)
	c.do("POST", "agents", again+`"name":"x","id":"`+other.MembersAgent.ID.String()+`"}`, 201)
	expect("another organization of the same id", token(other.Admin), false)
	expect("an agent of it", other.MembersAgent.Secret(), false)
	c.do("GET", "users/"+other.Admin.ID.String(), "", 200) // users are nobody's
}

// Pages neither repeat nor lose what stays while others come and go.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	_, c := open(t)
	var made []string
	for range 7 {
		made = append(made, c.do("POST", "agents", `{"name":"x"}`, 201)["id"].(string))
	}
	whole := c.ids("agents", 1000)
	for limit := 1; limit <= 4; limit++ {
		if got := c.ids("agents", limit); !slices.Equal(got, whole) || !slices.IsSorted(got) {
			t.Errorf("by %d: %v, want %v", limit, got, whole)
		}
	}
	first := c.do("GET", "agents?limit=3", "", 200)
	cursor := "&cursor=" + first["next_cursor"].(string)
	c.do("DELETE", "agents/"+whole[2], "", 204) // the place itself
	rest := c.do("GET", "agents?limit=1000"+cursor, "", 200)["items"].([]any)
	if len(rest) != len(whole)-3 || rest[0].(map[string]any)["id"] != whole[3] {
		t.Errorf("after a page: %v, want %v", rest, whole[3:])
	}
	for _, query := range []string{
		"limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cursor=*", "page=2", "organization_id=x",
		"limit=", "organization=" + uuid.NewString(),
	} {
		c.do("GET", "agents?"+query, "", 400)
	}
	c.do("GET", "services?organization_id="+uuid.NewString(), "", 400)
	c.do("GET", "agents/"+whole[0]+"?x=1", "", 400)
	c.do("POST", "agents?x=1", `{"name":"x"}`, 400)
	if !slices.Contains(whole, made[0]) {
		t.Error("a list without what was made")
	}
}

// The record says who did what to which thing, page by page.
func TestAuditSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	admin := client{t, h.Node, token(h.Acme.Admin)}
	id := admin.do("POST", "agents", `{"name":"one"}`, 201)["id"].(string)
	admin.do("PATCH", "agents/"+id, `{"name":"two"}`, 200)
	admin.do("PATCH", "agents/"+id, `{"name":"two"}`, 200) // changes nothing
	admin.do("DELETE", "agents/"+id, "", 204)
	admin.refused("POST", "agents", `{"name":""}`, 422, "name")

	var got []string
	cursor := ""
	for range 3 {
		page := admin.do("GET", "audit?limit=1"+cursor, "", 200)
		entry := page["items"].([]any)[0].(map[string]any)
		name := func(member string) any {
			document, _ := entry[member].(map[string]any)
			return document["name"]
		}
		who := "user:" + h.Acme.Admin.ID.String() + " credential:" + idOf(token(h.Acme.Admin))
		if entry["actor"] != who || entry["kind"] != "agent" || entry["id"] != id ||
			entry["organization_id"] != h.Acme.ID.String() {
			t.Errorf("entry %v", entry)
		}
		got = append(got, fmt.Sprint(entry["action"], " ", name("before"), " ", name("after")))
		cursor = "&cursor=" + page["next_cursor"].(string)
	}
	want := []string{"retire two <nil>", "change one two", "create <nil> one"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.do("GET", "audit?cursor=eA", "", 400)
	c.do("GET", "audit?kind=agent", "", 400)
}

// A body is JSON and small, whatever the media type says.
func TestBodiesAreJSON(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	send := func(method, path, mediaType, body string, want int) {
		t.Helper()
		got := h.Do(t, ask(c.as, method, path, body).With("Content-Type", mediaType))
		if got.Status != want {
			t.Errorf("%s %s: %v, want %d", method, mediaType, got, want)
		}
	}
	agent := "agents/" + h.Acme.MembersAgent.ID.String()
	good := `{"name":"x"}`
	send("POST", "agents", "application/json; charset=utf-8", good, 201)
	send("POST", "agents", "application/merge-patch+json", good, 415)
	send("PATCH", agent, "application/merge-patch+json", good, 200)
	send("PATCH", agent, "text/plain", good, 415)
	send("POST", "agents", "application/x-www-form-urlencoded", "name=x", 415)
	send("POST", "agents", "application/json", good+good, 400)
	send("POST", "agents", "application/json", `{"name":"x","name":"y"}`, 400)
	send("POST", "agents", "application/json", "", 400)
	send("POST", "agents", "application/json", `{"name":"`+strings.Repeat("x", 70_000)+`"}`, 413)
	send("POST", "agents", "application/json", `{"name":"x"}`+strings.Repeat(" ", 9<<20), 413)
	send("POST", "agents", "application/json", `{"nam\u0000e":"x"}`, 422)
}

// The members of one user do not fill the catalog.
func TestCredentialsOfOneHolderAreBounded(t *testing.T) {
	t.Parallel()
	h, _ := open(t)
	member := client{t, h.Node, token(h.Acme.Member)}
	var more schema.Catalog
	for n := len(member.ids("credentials", 1000)); n < 99; n++ {
		more.Credentials = append(more.Credentials, schema.Credential{
			Kind: schema.AccessToken, Hash: schema.HashSecret(uuid.NewString()),
			Organization: h.Acme.ID, User: h.Acme.Member.ID,
		})
	}
	h.Change(t, more, schema.Catalog{})
	member.do("POST", "credentials", `{"kind":"access_token"}`, 201)
	member.refused("POST", "credentials", `{"kind":"access_token"}`, 409, "")
	member.do("DELETE", "credentials/"+idOf(h.Acme.Member.Secret(schema.LoginToken)), "", 204)
	member.do("POST", "credentials", `{"kind":"access_token"}`, 201)
}

// A superadmin of another organization, and a user of several, are out of an admin's reach: a
// credential in their name would open what the admin has no business with.
func TestNobodyRisesByAnothersName(t *testing.T) {
	t.Parallel()
	h, c := open(t)
	o, other := h.Acme, h.Globex
	c.do("POST", "memberships", fmt.Sprintf(
		`{"organization_id":%q,"user_id":%q,"role":"member"}`, o.ID, other.Superadmin.ID), 201)
	admin := client{t, h.Node, token(o.Admin)}
	body := fmt.Sprintf(`{"kind":"app_password","user_id":%q}`, other.Superadmin.ID)
	admin.do("POST", "credentials", body, 403)
	member := "memberships/" + o.ID.String() + "/" + other.Superadmin.ID.String()
	admin.do("PATCH", member, `{"role":"admin"}`, 403)
	admin.do("DELETE", member, "", 403)
	admin.do("PATCH", "users/"+other.Superadmin.ID.String(), `{"name":"x"}`, 403)
	c.do("POST", "credentials", body, 201)
}
