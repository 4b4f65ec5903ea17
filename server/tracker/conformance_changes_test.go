package tracker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// What TestConformance is to the rest of the contract, this is to PUT and DELETE. Two writers of one
// record are in TestConcurrentPuts, what corrections do to the sums in server/corrections.
func TestChangesConform(t *testing.T) {
	c := &conformance{Harness: dialecttest.New(t)}
	c.found(t)
	for _, base := range []string{"/usage/", "/api/v1/usage/"} {
		t.Run("§5 PUT "+base, func(t *testing.T) { c.puts(t, base) })
		t.Run("§5 DELETE "+base, func(t *testing.T) { c.deletes(t, base) })
	}
	id := c.record(t)
	c.Conform(t, c.refusedChanges(id))
	r := call(c.admin, "GET", "/usage/"+id, "")
	dialecttest.Row{Request: r, Status: 200, Header: asJSON,
		Body: c.changed(id, "346", "0.0043")}.Check(t, c.whole.Do(t, r))
	if rows := c.Database.Strings(`SELECT toString(count()) FROM usage_events
		WHERE event_id = '` + id + `'`); rows[0] != "1" {
		t.Errorf("a record that nobody could change has %s rows", rows[0])
	}
}

// record makes the sample the member's.
func (c *conformance) record(t *testing.T) string {
	t.Helper()
	return created(t, c.whole, call(c.member, "POST", "/usage", sample), object(dialecttest.AnyID,
		c.member.id, "346", "0.0043", "sk-live-abcdefgh", c.at()))
}

func (c *conformance) at() string { return c.second.Format("2006-01-02T15:04:05Z") }

func (c *conformance) changed(id, units, cost string) string {
	return object(id, c.member.id, units, cost, "sk-…efgh", c.at())
}

// puts changes one record again and again: each answer is the whole of it, and so is a GET.
func (c *conformance) puts(t *testing.T, base string) {
	id := c.record(t)
	f := func(name, body, units, cost string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			for _, r := range []dialecttest.Request{
				call(c.admin, "PUT", base+id, body), call(c.member, "GET", base+id+"/", ""),
			} {
				dialecttest.Row{Request: r, Status: 200, Header: asJSON,
					Body: c.changed(id, units, cost)}.Check(t, c.whole.Do(t, r))
			}
		})
	}
	f("{} is no change", `{}`, "346", "0.0043")
	f("units_used alone: the cost stays", `{"units_used":7}`, "7", "0.0043")
	f("cost_usd alone: the units stay", `{"cost_usd":1.5}`, "7", "1.5")
	f("both", `{"units_used":8,"cost_usd":2}`, "8", "2")
	f("§6 numeric strings", `{"units_used":"10","cost_usd":"0.0043"}`, "10", "0.0043")
	f("the same again is no change", `{"units_used":10,"cost_usd":0.0043}`, "10", "0.0043")
	f("zero is a value", `{"units_used":0,"cost_usd":0}`, "0", "0")
	f("§6 the largest", `{"units_used":9223372036854775807,"cost_usd":999999.9999}`,
		"9223372036854775807", "999999.9999")
	f("other keys are ignored", fmt.Sprintf(`{"usage_id":%q,"user_id":%q,"api_name":"x",`+
		`"endpoint":null,"api_key_used":"x","status_active":false,"created_at":"x"}`,
		uuid.New(), c.admin.id), "9223372036854775807", "999999.9999")
	revisions := c.Database.Strings(`SELECT toString(max(revision)) FROM usage_events
		WHERE event_id = '` + id + `'`)
	if revisions[0] != "6" {
		t.Errorf("%s revisions after six changes", revisions[0])
	}
}

// deletes takes a record back. What is deleted is unknown from then on.
func (c *conformance) deletes(t *testing.T, base string) {
	id, other := c.record(t), c.record(t)
	gone := call(c.admin, "DELETE", base+id, "")
	dialecttest.Row{Request: gone, Status: 204}.Check(t, c.whole.Do(t, gone))
	for _, r := range []dialecttest.Request{
		gone, call(c.admin, "GET", base+id, ""), call(c.member, "GET", base+id, ""),
		call(c.admin, "PUT", base+id, `{"units_used":1}`), call(c.admin, "PUT", base+id, `{}`),
	} {
		dialecttest.Row{Request: r, Status: 404, Header: asJSON, Body: `{"detail":"Usage not found"}`}.
			Check(t, c.whole.Do(t, r))
	}
	list := string(c.Do(t, call(c.admin, "GET", base+"?limit=1000", "")).Body)
	if strings.Contains(list, id) || !strings.Contains(list, other) {
		t.Errorf("%s was deleted, %s was not: %s", id, other, list)
	}
}

// refusedChanges change nothing.
func (c *conformance) refusedChanges(id string) []dialecttest.Row {
	path, nobody := "/usage/"+id, person{}
	row := func(name string, r dialecttest.Request, status int, detail string, more ...string,
	) dialecttest.Row {
		return dialecttest.Row{Name: fmt.Sprintf("§5 %d: %s", status, name), Request: r,
			Status: status, Header: append(more, asJSON...), Body: fmt.Sprintf(`{"detail":%q}`, detail)}
	}
	const role = "You do not have the required role to access this resource."
	challenge := []string{"Www-Authenticate", "Bearer"}
	put := func(body string) dialecttest.Request { return call(c.admin, "PUT", path, body) }
	rows := []dialecttest.Row{
		row("PUT without a token", call(nobody, "PUT", path, "{"), 401, "Not authenticated",
			challenge...),
		row("DELETE without a token", call(nobody, "DELETE", "/usage/x", ""), 401,
			"Not authenticated", challenge...),
		row("a member's PUT, own record", call(c.member, "PUT", path, `{"units_used":1}`), 403, role),
		row("a member's DELETE, own record", call(c.member, "DELETE", path, ""), 403, role),
		row("role comes before the body", call(c.member, "PUT", path, "{"), 403, role),
		row("role comes before the id", call(c.member, "DELETE", "/usage/x", ""), 403, role),
		row("PUT, another organization's",
			call(c.admin, "PUT", "/usage/"+c.Acme.MembersRecord.String(), `{"units_used":1}`), 404,
			"Usage not found"),
		row("DELETE, another organization's",
			call(c.admin, "DELETE", "/usage/"+c.Acme.MembersRecord.String(), ""), 404, "Usage not found"),
		row("PUT, unknown", call(c.admin, "PUT", "/usage/"+uuid.NewString(), "{}"), 404,
			"Usage not found"),
		row("DELETE, unknown", call(c.admin, "DELETE", "/usage/"+uuid.NewString(), ""), 404,
			"Usage not found"),
		row("PATCH", call(c.admin, "PATCH", path, "{}"), 405, "Method Not Allowed",
			"Allow", "GET, PUT, DELETE, OPTIONS"),
		row("POST to a record", call(c.admin, "POST", path, sample), 405, "Method Not Allowed",
			"Allow", "GET, PUT, DELETE, OPTIONS"),
		row("PUT of all of them", call(c.admin, "PUT", "/usage", "{}"), 405, "Method Not Allowed",
			"Allow", "GET, POST, OPTIONS"),
		row("DELETE of all of a user's", call(c.admin, "DELETE", "/usage/user/"+c.member.id.String(), ""),
			405, "Method Not Allowed", "Allow", "GET, OPTIONS"),
		row("PUT, not UTF-8", put("\xff"), 400, "There was an error parsing the body"),
	}
	of := func(member, literal, kind, msg, more string) {
		rows = append(rows, invalid("PUT "+member+" "+literal, put(`{"`+member+`":`+literal+`}`),
			problem(kind, `["body","`+member+`"]`, msg, literal, more)))
	}
	ge0 := `,"ctx":{"ge":0}`
	of("units_used", "null", "int_type", noInt, "")
	of("units_used", "true", "int_type", noInt, "")
	of("units_used", "-1", "greater_than_equal", atLeast0, ge0)
	of("units_used", "1.5", "int_from_float", fraction, "")
	of("units_used", `"a"`, "int_parsing", badInt, "")
	of("cost_usd", "null", "decimal_type",
		"Decimal input should be an integer, float, string or Decimal object", "")
	of("cost_usd", "-1", "greater_than_equal", atLeast0, ge0)
	of("cost_usd", "0.00001", "decimal_max_places",
		"Decimal input should have no more than 4 decimal places", `,"ctx":{"decimal_places":4}`)
	const reason = "invalid character: expected an optional prefix of `urn:uuid:` followed by " +
		"[0-9a-fA-F-], found `u` at 1"
	notUUID := problem("uuid_parsing", `["path","usage_id"]`, "Input should be a valid UUID, "+reason,
		`"usage-uuid"`, fmt.Sprintf(`,"ctx":{"error":%q}`, reason))
	noUnits := problem("int_type", `["body","units_used"]`, noInt, "null", "")
	noCost := problem("greater_than_equal", `["body","cost_usd"]`, atLeast0, "-1", ge0)
	both := `{"cost_usd":-1,"units_used":null}`
	return append(rows,
		invalid("PUT, both wrong, both told", put(both), noUnits, noCost),
		invalid("PUT, the documentation's record", call(c.admin, "PUT", "/usage/usage-uuid", "{}"),
			notUUID),
		invalid("PUT, the record and its body",
			call(c.admin, "PUT", "/api/v1/usage/usage-uuid/", both), notUUID, noUnits, noCost),
		invalid("DELETE, the documentation's record",
			call(c.admin, "DELETE", "/usage/usage-uuid", ""), notUUID),
		invalid("PUT, no body", put(""), problem("missing", `["body"]`, "Field required", "null", "")),
		invalid("PUT, an array", put("[]"), problem("model_attributes_type", `["body"]`,
			"Input should be a valid dictionary or object to extract fields from", "[]", "")),
	)
}
