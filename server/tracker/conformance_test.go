package tracker_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// The published contract line by line, and what proves each line. A test without a package is
// TestConformance here; "suite" is TestSuite with the named part of dialecttest.
//
//	mount: four paths, no redirect           §5 mount …
//	create status 201                        §5 mount …
//	cost_usd: a number; numeric strings in   §5 cost_usd …
//	every route is protected                 §5 401 …; suite Credentials
//	units_used >= 0, an integer, 64 bits     §5 units_used …, §5 §6 units_used …
//	cost_usd: 10 digits, 4 of them decimals  §5 cost_usd …
//	DELETE, PUT                              TestChangesConform
//	user_id is the caller's                  §5 user_id is the caller's, not the body's
//	all five members are required            §5 422: without …
//	GET /usage: skip, limit, defaults        §5 page …
//	a bare array                             §5 page …
//	limit at most 1000, 422 on negative      §5 422: limit …, skip …
//	GET /usage/user/{user_id}: unknown is [] §5 list of a user …; suite Access
//	GET /usage/{usage_id}                    §5 mount: … read back
//	the object: its members and their types  every §5 mount; no updated_at: exactly these members
//	created_at: microseconds only when there are some   §5 mount, §5 created_at
//	order: created_at, then usage_id         §5 page: the whole list in order
//	roles                                    suite Access
//	401: Not authenticated, WWW-Authenticate §5 401 …
//	401: invalid or expired token            §5 401 …
//	404: User not found.                     §5 404: a good token whose user is gone
//	403: role                                §5 403
//	404: Usage not found                     §5 404 …
//	422: list of problems                    §5 422 …; TestDecode…
//	405, unknown path                        §5 405 … of TestChangesConform; §5 404 …
//	the documentation's placeholder ids      §5 422: the documentation's …
//	CORS: any origin, with credentials       §5 CORS …
//	a repeated header, a key of ours         TestRetryIsAnsweredFromTheLedger
//	429, 503 with Retry-After                §5 429; suite Overload, Failures; TestWriteExchanges
//	413, 415                                 suite Sizes, Encodings
func TestConformance(t *testing.T) {
	c := &conformance{Harness: dialecttest.New(t)}
	c.found(t)
	t.Run("§5 mount", c.mounts)
	t.Run("§5 page", c.pages)
	t.Run("accepted", c.accepted)
	c.Conform(t, c.refusedBodies())
	c.Conform(t, c.refusedCalls())
	c.Conform(t, c.origins())
	t.Run("§5 404: a good token whose user is gone", c.gone)
	t.Run("§5 429, and 401 once expired", c.tooMany)
	t.Run("§5 500: nothing of the cause", c.internal)
}

// conformance is a harness with an organization whose records are all made here.
type conformance struct {
	*dialecttest.Harness
	id            uuid.UUID
	admin, member person
	whole         *dialecttest.Node // whose clock shows whole seconds
	exact         *dialecttest.Node // whose clock shows 1,500 microseconds more
	second        time.Time         // on the first one's clock
}

type person struct {
	id    uuid.UUID
	token string
}

// sample is the documentation's.
const sample = `{"api_name":"llm_query","endpoint":"/chat","units_used":346,"cost_usd":0.0043,` +
	`"api_key_used":"sk-live-abcdefgh"}`

var asJSON = []string{"Content-Type", "application/json"}

func (c *conformance) found(t *testing.T) {
	c.id = uuid.New()
	catalog := schema.Catalog{Organizations: []schema.Organization{{ID: c.id, Name: "Initech"}}}
	for _, p := range []struct {
		into *person
		role schema.Role
	}{{&c.admin, schema.Admin}, {&c.member, schema.Member}} {
		*p.into = person{uuid.New(), "dop_v1_" + uuid.NewString()}
		catalog.Users = append(catalog.Users, schema.User{ID: p.into.id})
		catalog.Memberships = append(catalog.Memberships, schema.Membership{
			Organization: c.id, User: p.into.id, Role: p.role, Active: true,
		})
		catalog.Credentials = append(catalog.Credentials, schema.Credential{
			Hash: schema.HashSecret(p.into.token), Kind: schema.AccessToken,
			Organization: c.id, User: p.into.id,
		})
	}
	c.Change(t, catalog, schema.Catalog{})
	c.second = time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	c.whole = c.Start(t, dialecttest.NodeConfig{Now: func() time.Time { return c.second }})
	c.exact = c.Start(t, dialecttest.NodeConfig{Now: func() time.Time {
		return c.second.Add(1500*time.Microsecond + 999)
	}})
}

// call is a request of a person's.
func call(p person, method, path, body string) dialecttest.Request {
	r := dialecttest.Request{Method: method, Path: path, Body: body}
	if p.token != "" {
		r = r.With("Authorization", "Bearer "+p.token)
	}
	if body != "" {
		r = r.With("Content-Type", "application/json")
	}
	return r
}

// object is a record as it is answered.
func object(id string, user uuid.UUID, units, cost, key, created string) string {
	return fmt.Sprintf(`{"usage_id":%q,"user_id":%q,"api_name":"llm_query","endpoint":"/chat",`+
		`"units_used":%s,"cost_usd":%s,"api_key_used":%q,"status_active":true,"created_at":%q}`,
		id, user, units, cost, key, created)
}

// created sends a POST, checks its answer, and returns the new record's id.
func created(t *testing.T, n *dialecttest.Node, r dialecttest.Request, want string) string {
	t.Helper()
	got := n.Do(t, r)
	dialecttest.Row{Request: r, Status: 201, Header: asJSON, Body: want}.Check(t, got)
	var answer struct {
		ID string `json:"usage_id"`
	}
	if err := json.Unmarshal(got.Body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.ID
}

func (c *conformance) mounts(t *testing.T) {
	at := c.second.Format("2006-01-02T15:04:05Z")
	for _, path := range []string{"/usage", "/usage/", "/api/v1/usage", "/api/v1/usage/"} {
		t.Run("POST "+path+" and read back", func(t *testing.T) {
			id := created(t, c.whole, call(c.member, "POST", path, sample),
				object(dialecttest.AnyID, c.member.id, "346", "0.0043", "sk-live-abcdefgh", at))
			want := object(id, c.member.id, "346", "0.0043", "sk-…efgh", at)
			for _, path := range []string{
				"/usage/" + id, "/usage/" + id + "/", "/api/v1/usage/" + id, "/api/v1/usage/" + id + "/",
				"/USAGE/" + strings.ToUpper(id), "/usage/%7B" + id + "%7D", "/usage/urn:uuid:" + id,
				"/usage/" + strings.ReplaceAll(id, "-", ""),
			} {
				r := call(c.admin, "GET", path, "")
				dialecttest.Row{Request: r, Status: 200, Header: asJSON, Body: want}.
					Check(t, c.whole.Do(t, r))
			}
		})
	}
	t.Run("created_at has microseconds when there are some", func(t *testing.T) {
		at := c.second.Format("2006-01-02T15:04:05") + ".001500Z"
		id := created(t, c.exact, call(c.admin, "POST", "/usage", sample),
			object(dialecttest.AnyID, c.admin.id, "346", "0.0043", "sk-live-abcdefgh", at))
		r := call(c.admin, "GET", "/usage/"+id, "")
		dialecttest.Row{Request: r, Status: 200, Header: asJSON,
			Body: object(id, c.admin.id, "346", "0.0043", "sk-…efgh", at)}.Check(t, c.exact.Do(t, r))
	})
}

// pages reads what mounts wrote, and 105 records of another user that lie behind it.
func (c *conformance) pages(t *testing.T) {
	c.whole.Flush(t)
	c.exact.Flush(t)
	list := func(p person, path string) []string {
		t.Helper()
		got := c.Do(t, call(p, "GET", path, ""))
		var records []struct {
			ID      string    `json:"usage_id"`
			Created time.Time `json:"created_at"`
		}
		if err := json.Unmarshal(got.Body, &records); err != nil || got.Status != 200 {
			t.Fatalf("%s: %v, %v", path, err, got)
		}
		ids := make([]string, len(records))
		for i, r := range records {
			ids[i] = r.Created.Format("2006-01-02T15:04:05.000000 ") + r.ID
			if i > 0 && ids[i] <= ids[i-1] {
				t.Errorf("%s: %s after %s", path, ids[i], ids[i-1])
			}
		}
		return ids
	}
	events := make([]string, 105)
	for i := range events { // three of one instant
		events[i] = fmt.Sprintf(`{"time":%q,"user_id":%q,"usage":{"UNITS":%d}}`,
			c.second.Add(time.Duration(2+i/3)*time.Second).Format(time.RFC3339), c.admin.id, i)
	}
	r := call(c.admin, "POST", "/v1/events", "["+strings.Join(events, ",")+"]")
	if got := c.Do(t, r); got.Status != http.StatusCreated {
		t.Fatal(got)
	}
	c.Flush(t)
	all := list(c.admin, "/usage?limit=1000")
	if len(all) != 110 {
		t.Fatalf("%d records", len(all))
	}
	same := func(name, path string, p person, want []string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			if got := list(p, path); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%d records %v, want %d %v", len(got), got, len(want), want)
			}
		})
	}
	users := "/usage/user/"
	same("skip is 0 and limit 100 when absent", "/usage", c.admin, all[:100])
	same("skip alone", "/usage?skip=100", c.admin, all[100:])
	same("limit alone", "/usage?limit=2", c.admin, all[:2])
	same("both, with a slash", "/usage/?skip=3&limit=4", c.admin, all[3:7])
	same("both, at the original's mount", "/api/v1/usage/?limit=4&skip=3", c.admin, all[3:7])
	same("beyond the end is []", "/usage?skip=110", c.admin, nil)
	same("the largest skip", "/usage?skip=9223372036854775807", c.admin, nil)
	same("limit 0", "/usage?limit=0", c.admin, nil)
	same("the largest limit", "/usage?skip=1&limit=1000", c.admin, all[1:])
	same("other parameters are nobody's", "/usage?limit=1&page=7&user_id="+uuid.NewString(),
		c.admin, all[:1])
	same("a member's own", "/usage", c.member, all[:4])
	same("of a user, by an admin", users+c.admin.id.String(), c.admin, all[4:104])
	same("of a user, its second page", users+c.admin.id.String()+"?skip=104&limit=9", c.admin,
		all[108:])
	same("of oneself", users+c.member.id.String()+"/?limit=3", c.member, all[:3])
	same("of an unknown user is []", users+uuid.NewString(), c.admin, nil)
	same("of another organization's user is []", users+c.Acme.Member.ID.String(), c.admin, nil)
	empty := call(c.admin, "GET", users+uuid.NewString(), "")
	dialecttest.Row{Request: empty, Status: 200, Header: asJSON, Body: "[]"}.Check(t, c.Do(t, empty))
}

// accepted are bodies that count, and what they count as.
func (c *conformance) accepted(t *testing.T) {
	at := c.second.Format("2006-01-02T15:04:05Z")
	f := func(name, units, cost, wantUnits, wantCost string) {
		t.Helper()
		t.Run("§5 "+name, func(t *testing.T) {
			body := fmt.Sprintf(`{"api_name":"llm_query","endpoint":"/chat","units_used":%s,`+
				`"cost_usd":%s,"api_key_used":"sk-live-abcdefgh"}`, units, cost)
			id := created(t, c.whole, call(c.member, "POST", "/usage", body), object(dialecttest.AnyID,
				c.member.id, wantUnits, wantCost, "sk-live-abcdefgh", at))
			r := call(c.member, "GET", "/usage/"+id, "")
			dialecttest.Row{Request: r, Status: 200, Header: asJSON,
				Body: object(id, c.member.id, wantUnits, wantCost, "sk-…efgh", at)}.
				Check(t, c.whole.Do(t, r))
		})
	}
	units := func(name, literal, want string) { t.Helper(); f(name, literal, "0.0043", want, "0.0043") }
	cost := func(name, literal, want string) { t.Helper(); f(name, "346", literal, "346", want) }
	units("units_used: zero", "0", "0")
	units(`§6 units_used: "346" is 346`, `"346"`, "346")
	units(`§6 units_used: "10"`, `"10"`, "10")
	units("units_used: 346.0 is 346", "346.0", "346")
	units("units_used: 3.46e2 is 346", "3.46e2", "346")
	units("§6 units_used: beyond 2^53", "9007199254740993", "9007199254740993")
	units("§6 units_used: 2^63-1", "9223372036854775807", "9223372036854775807")
	units("§6 units_used: 2^63-1 in a string", `"9223372036854775807"`, "9223372036854775807")
	cost(`§6 cost_usd: "0.0043"`, `"0.0043"`, "0.0043")
	cost("cost_usd: zero", "0", "0")
	cost("cost_usd: the largest", "999999.9999", "999999.9999")
	cost("cost_usd: the largest in a string", `"999999.9999"`, "999999.9999")
	cost("cost_usd: the smallest", "0.0001", "0.0001")
	cost("cost_usd: an exponent", "43e-4", "0.0043")
	cost("cost_usd: zeros behind are no decimals", "1.50000000", "1.5")
	cost("cost_usd: no float makes 0.1 and 0.7 of it", "123456.7001", "123456.7001")
	t.Run("§5 user_id is the caller's, not the body's; other members are ignored", func(t *testing.T) {
		body := fmt.Sprintf(`{"user_id":%q,"usage_id":%q,"status_active":false,`+
			`"created_at":"2020-01-01T00:00:00Z",`, c.admin.id, c.admin.id) + sample[1:]
		id := created(t, c.whole, call(c.member, "POST", "/usage", body), object(dialecttest.AnyID,
			c.member.id, "346", "0.0043", "sk-live-abcdefgh", at))
		if id == c.admin.id.String() {
			t.Error("the body chose the id")
		}
	})
	t.Run("§5 api_key_used: a short one is hidden whole", func(t *testing.T) {
		body := strings.Replace(sample, "sk-live-abcdefgh", "sk-1", 1)
		id := created(t, c.whole, call(c.member, "POST", "/usage", body), object(dialecttest.AnyID,
			c.member.id, "346", "0.0043", "sk-1", at))
		r := call(c.member, "GET", "/usage/"+id, "")
		dialecttest.Row{Request: r, Status: 200, Header: asJSON,
			Body: object(id, c.member.id, "346", "0.0043", "…", at)}.Check(t, c.whole.Do(t, r))
	})
}

// problem is one of a 422's, with more members such as `,"ctx":{}`.
func problem(kind, loc, msg, input, more string) string {
	return fmt.Sprintf(`{"type":%q,"loc":%s,"msg":%q,"input":%s%s}`, kind, loc, msg, input, more)
}

func invalid(name string, r dialecttest.Request, problems ...string) dialecttest.Row {
	return dialecttest.Row{Name: "§5 422: " + name, Request: r, Status: 422, Header: asJSON,
		Body: `{"detail":[` + strings.Join(problems, ",") + `]}`}
}

const (
	noInt    = "Input should be a valid integer"
	badInt   = noInt + ", unable to parse string as an integer"
	fraction = noInt + ", got a number with a fractional part"
	atLeast0 = "Input should be greater than or equal to 0"
)

// refusedBodies are POSTs of a known caller that cannot be taken.
func (c *conformance) refusedBodies() []dialecttest.Row {
	post := func(body string) dialecttest.Request { return call(c.member, "POST", "/usage", body) }
	with := func(member, literal string) dialecttest.Request {
		before, rest, _ := strings.Cut(sample, `"`+member+`":`)
		end := strings.Index(rest, ",")
		if end < 0 {
			end = len(rest) - 1
		}
		return post(before + `"` + member + `":` + literal + rest[end:])
	}
	var rows []dialecttest.Row
	of := func(member, name, literal, kind, msg, more string) {
		rows = append(rows, invalid(member+" "+name, with(member, literal),
			problem(kind, `["body","`+member+`"]`, msg, literal, more)))
	}
	units := func(literal, kind, msg, more string) { of("units_used", literal, literal, kind, msg, more) }
	cost := func(literal, kind, msg, more string) { of("cost_usd", literal, literal, kind, msg, more) }
	ge0 := `,"ctx":{"ge":0}`
	units("-1", "greater_than_equal", atLeast0, ge0)
	units(`"-1"`, "greater_than_equal", atLeast0, ge0)
	units("346.5", "int_from_float", fraction, "")
	units(`"346.5"`, "int_parsing", badInt, "")
	units(`"a"`, "int_parsing", badInt, "")
	units(`""`, "int_parsing", badInt, "")
	units("true", "int_type", noInt, "")
	units("null", "int_type", noInt, "")
	units("[1]", "int_type", noInt, "")
	units("9223372036854775808", "less_than_equal",
		"Input should be less than or equal to 9223372036854775807", `,"ctx":{"le":9223372036854775807}`)
	digits := "Decimal input should have no more than 10 digits in total"
	cost("-0.0001", "greater_than_equal", atLeast0, ge0)
	cost("0.00001", "decimal_max_places", "Decimal input should have no more than 4 decimal places",
		`,"ctx":{"decimal_places":4}`)
	cost("1000000", "decimal_whole_digits",
		"Decimal input should have no more than 6 digits before the decimal point",
		`,"ctx":{"whole_digits":6}`)
	cost("1000000.00001", "decimal_max_digits", digits, `,"ctx":{"max_digits":10}`)
	cost("1e400", "decimal_max_digits", digits, `,"ctx":{"max_digits":10}`)
	cost(`"a"`, "decimal_parsing", "Input should be a valid decimal", "")
	cost(`"NaN"`, "finite_number", "Input should be a finite number", "")
	decimal := "Decimal input should be an integer, float, string or Decimal object"
	cost("true", "decimal_type", decimal, "")
	cost("null", "decimal_type", decimal, "")
	for _, text := range []string{"api_name", "endpoint", "api_key_used"} {
		of(text, "7", "7", "string_type", "Input should be a valid string", "")
		of(text, "null", "null", "string_type", "Input should be a valid string", "")
		of(text, "control", `"\u0000"`, "string_pattern_mismatch",
			`String should match pattern '^[^\x00-\x1f\x7f]*$'`,
			`,"ctx":{"pattern":"^[^\\x00-\\x1f\\x7f]*$"}`)
	}
	for _, member := range []string{
		"api_name", "endpoint", "units_used", "cost_usd", "api_key_used",
	} {
		less := strings.Replace(sample, member, "other", 1)
		rows = append(rows, invalid("without "+member, post(less),
			problem("missing", `["body","`+member+`"]`, "Field required", less, "")))
	}
	noObject := "Input should be a valid dictionary or object to extract fields from"
	broken := func(name, body string, position int, reason string) {
		rows = append(rows, invalid(name, post(body), problem("json_invalid",
			fmt.Sprintf(`["body",%d]`, position), "JSON decode error", "{}",
			fmt.Sprintf(`,"ctx":{"error":%q}`, reason))))
	}
	broken("half of it", `{"api_name":`, 12, "Expecting value")
	broken("a comma too many", `{"api_name":"a",}`, 16,
		"Expecting property name enclosed in double quotes")
	broken("no value", `{"api_name":}`, 12, "Expecting value")
	broken("positions are characters", `{"é":}`, 5, "Expecting value")
	broken("two objects", "{}{}", 2, "Extra data")
	empty := call(c.member, "POST", "/usage", "")
	form := post("a=1")
	form.Header[3] = "application/x-www-form-urlencoded"
	return append(rows,
		invalid("no body", empty, problem("missing", `["body"]`, "Field required", "null", "")),
		invalid("an array", post("[]"),
			problem("model_attributes_type", `["body"]`, noObject, "[]", "")),
		invalid("a form", form, problem("model_attributes_type", `["body"]`, noObject, `"a=1"`, "")),
		dialecttest.Row{Name: "§5 400: not UTF-8", Request: post("\xff"), Status: 400, Header: asJSON,
			Body: `{"detail":"There was an error parsing the body"}`},
	)
}

// refusedCalls are everything else that fails.
func (c *conformance) refusedCalls() []dialecttest.Row {
	nobody, id := person{}, "/usage/"+uuid.NewString()
	row := func(name string, r dialecttest.Request, status int, detail string) dialecttest.Row {
		return dialecttest.Row{Name: fmt.Sprintf("§5 %d: %s", status, name), Request: r,
			Status: status, Header: asJSON, Body: fmt.Sprintf(`{"detail":%q}`, detail)}
	}
	unauthorized := func(name string, r dialecttest.Request, detail string) dialecttest.Row {
		row := row(name, r, 401, detail)
		row.Header = append([]string{"Www-Authenticate", "Bearer"}, asJSON...)
		return row
	}
	const noToken, badToken = "Not authenticated", "invalid or expired token"
	basic := call(nobody, "GET", "/usage", "").With("Authorization", "Basic "+c.admin.token)
	bare := call(nobody, "GET", "/usage", "").With("Authorization", c.admin.token)
	empty := call(nobody, "GET", "/usage", "").With("Authorization", "Bearer ")
	rows := []dialecttest.Row{
		unauthorized("another scheme", basic, noToken), unauthorized("no scheme", bare, noToken),
		unauthorized("an empty token", empty, noToken),
		unauthorized("an unknown token", call(person{token: "x"}, "GET", "/usage", ""), badToken),
		unauthorized("an agent's secret",
			call(person{token: c.Acme.MembersAgent.Token}, "GET", "/usage", ""), badToken),
		unauthorized("a login token",
			call(person{token: c.Acme.Admin.LoginToken}, "GET", "/usage", ""), badToken),
		unauthorized("a former member",
			call(person{token: c.Acme.Former.AccessToken}, "GET", "/usage", ""), badToken),
		row("role: another user's list", call(c.member, "GET", "/usage/user/"+c.admin.id.String(), ""),
			403, "You do not have the required role to access this resource."),
		row("unknown", call(c.admin, "GET", id, ""), 404, "Usage not found"),
		row("another organization's",
			call(c.admin, "GET", "/usage/"+c.Acme.MembersRecord.String(), ""), 404, "Usage not found"),
		row("unknown path", call(c.admin, "GET", "/usage/user/a/b", ""), 404, "Not Found"),
		row("unknown path below the other mount", call(nobody, "GET", "/api/v1/usage/a/b", ""), 404,
			"Not Found"),
		row("unknown path, a method nobody knows", call(nobody, "PATCH", "/usage/a/b/c", ""), 404,
			"Not Found"),
	}
	for _, r := range []dialecttest.Request{
		call(nobody, "POST", "/usage", "{"), call(nobody, "GET", "/usage?skip=x", ""),
		call(nobody, "GET", "/usage/x", ""), call(nobody, "GET", "/usage/user/x", ""),
		call(nobody, "POST", "/api/v1/usage/", "{"), call(nobody, "GET", "/api/v1/usage/", ""),
		call(nobody, "GET", "/api/v1/usage/x", ""), call(nobody, "GET", "/api/v1/usage/user/x", ""),
	} {
		rows = append(rows, unauthorized("before anything else, "+r.Method+" "+r.Path, r, noToken))
	}
	const reason = "invalid character: expected an optional prefix of `urn:uuid:` followed by " +
		"[0-9a-fA-F-], found `u` at 1"
	notUUID := func(name, path, member, input string) dialecttest.Row {
		return invalid(name, call(c.admin, "GET", path, ""), problem("uuid_parsing",
			`["path","`+member+`"]`, "Input should be a valid UUID, "+reason, `"`+input+`"`,
			fmt.Sprintf(`,"ctx":{"error":%q}`, reason)))
	}
	rows = append(rows,
		notUUID("the documentation's user", "/usage/user/uuid123?skip=0&limit=10", "user_id", "uuid123"),
		notUUID("the documentation's record", "/usage/usage-uuid", "usage_id", "usage-uuid"))
	le := "Input should be less than or equal to "
	for _, name := range []string{"skip", "limit"} {
		query := func(value, kind, msg, more string) {
			for _, path := range []string{"/usage", "/usage/user/" + c.admin.id.String()} {
				rows = append(rows, invalid(name+" "+value+" at "+path,
					call(c.admin, "GET", path+"?"+name+"="+value, ""),
					problem(kind, `["query","`+name+`"]`, msg, `"`+value+`"`, more)))
			}
		}
		query("a", "int_parsing", badInt, "")
		query("", "int_parsing", badInt, "")
		query("1.5", "int_parsing", badInt, "")
		query("-1", "greater_than_equal", atLeast0, `,"ctx":{"ge":0}`)
		if name == "limit" {
			query("1001", "less_than_equal", le+"1000", `,"ctx":{"le":1000}`)
		} else {
			query("9223372036854775808", "less_than_equal", le+"9223372036854775807",
				`,"ctx":{"le":9223372036854775807}`)
		}
	}
	return rows
}

// origins are requests from a page.
func (c *conformance) origins() []dialecttest.Row {
	const origin = "https://app.example"
	allowed := []string{
		"Access-Control-Allow-Origin", origin, "Access-Control-Allow-Credentials", "true",
	}
	from := func(r dialecttest.Request) dialecttest.Request { return r.With("Origin", origin) }
	unknown := "/usage/" + uuid.NewString()
	answer := func(name string, r dialecttest.Request, status int, body string, more ...string,
	) dialecttest.Row {
		header := append(append([]string{"Vary", "Origin"}, allowed...), asJSON...)
		return dialecttest.Row{Name: "§5 CORS: " + name, Request: from(r), Status: status,
			Header: append(header, more...), Body: body}
	}
	rows := []dialecttest.Row{
		answer("a success says it", call(c.admin, "GET", "/usage?limit=0", ""), 200, "[]"),
		answer("a 404 too", call(c.admin, "GET", unknown, ""), 404, `{"detail":"Usage not found"}`),
		answer("a 401 too", call(person{}, "GET", unknown, ""), 401, `{"detail":"Not authenticated"}`,
			"Www-Authenticate", "Bearer"),
		answer("an unknown path too", call(c.admin, "GET", "/usage/a/b", ""), 404,
			`{"detail":"Not Found"}`),
	}
	for _, path := range []string{
		"/usage", "/usage/", unknown, "/usage/user/" + c.admin.id.String(), "/api/v1/usage/",
	} {
		r := from(call(person{}, "OPTIONS", path, "")).With("Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type")
		rows = append(rows, dialecttest.Row{Name: "§5 CORS: preflight of " + path, Request: r,
			Status: 204, Header: append([]string{
				"Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
				"Access-Control-Allow-Methods", "DELETE, GET, POST, PUT",
				"Access-Control-Allow-Headers", "authorization,content-type",
				"Access-Control-Max-Age", "600",
			}, allowed...)})
	}
	return rows
}

// tooMany asks with a token that may ask once a minute, and with one that was good once.
func (c *conformance) tooMany(t *testing.T) {
	k := schema.Credential{Kind: schema.AppPassword, Organization: c.id, User: c.member.id}
	r := call(person{token: c.Limited(t, k, 1)}, "GET", "/usage?limit=0", "")
	dialecttest.Row{Request: r, Status: 200, Header: asJSON, Body: "[]"}.Check(t, c.Do(t, r))
	dialecttest.Row{Request: r, Status: 429,
		Header: append([]string{"Retry-After", dialecttest.AnyInteger}, asJSON...),
		Body:   `{"detail":"the credential has used up its requests of this minute; try again later"}`,
	}.Check(t, c.Do(t, r))
	k.ExpiresAt = time.Now().UTC().Truncate(time.Microsecond)
	r = call(person{token: c.Limited(t, k, 1)}, "GET", "/usage?limit=0", "")
	dialecttest.Row{Request: r, Status: 401,
		Header: append([]string{"Www-Authenticate", "Bearer"}, asJSON...),
		Body:   `{"detail":"invalid or expired token"}`}.Check(t, c.Do(t, r))
}

// gone retires a user who has a JWT.
func (c *conformance) gone(t *testing.T) {
	user, password := schema.User{ID: uuid.New()}, "app_a7_"+uuid.NewString()
	c.Change(t, schema.Catalog{
		Users: []schema.User{user},
		Memberships: []schema.Membership{
			{Organization: c.id, User: user.ID, Role: schema.Admin, Active: true},
		},
		Credentials: []schema.Credential{{
			Hash: schema.HashSecret(password), Kind: schema.AppPassword,
			Organization: c.id, User: user.ID,
		}},
	}, schema.Catalog{})
	got := c.Do(t, call(person{}, "POST", "/api/auth/app-login", `{"token":"`+password+`"}`))
	var session struct{ AccessToken string }
	if err := json.Unmarshal(got.Body, &session); err != nil || session.AccessToken == "" {
		t.Fatal(got)
	}
	r := call(person{token: session.AccessToken}, "GET", "/usage?limit=0", "")
	dialecttest.Row{Request: r, Status: 200, Header: asJSON, Body: "[]"}.Check(t, c.Do(t, r))
	c.Change(t, schema.Catalog{}, schema.Catalog{Users: []schema.User{user}})
	for _, path := range []string{"/usage", "/usage/x", "/usage/user/" + user.ID.String()} {
		r = call(person{token: session.AccessToken}, "GET", path, "")
		dialecttest.Row{Request: r, Status: 404, Header: asJSON,
			Body: `{"detail":"User not found."}`}.Check(t, c.Do(t, r))
	}
}

// internal lets the database fail.
func (c *conformance) internal(t *testing.T) {
	broken, err := queries.Open(t.Context(),
		queries.Config{Options: schematest.NewEmpty(t).Options})
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	node := c.Start(t, dialecttest.NodeConfig{Queries: broken})
	for _, path := range []string{
		"/usage", "/usage/" + uuid.NewString(), "/api/v1/usage/user/" + c.admin.id.String(),
	} {
		r := call(c.admin, "GET", path, "")
		dialecttest.Row{Request: r, Status: 500, Header: asJSON,
			Body: `{"detail":"Internal Server Error"}`}.Check(t, node.Do(t, r))
	}
}
