package memori_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
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
//	three routes, three lengths each         §2 path: …
//	strToken: in the path, no Authorization  §2 token: …
//	tenantName: with dots                    §2 path: a tenant …
//	strUserID, strMemoriID: GUIDs            §2 path: a user …, a memori …; §2 error -904 …
//	strType: Daily, Monthly                  §2 type: …; §2 error -901 …
//	strDateFrom, strDateTo: yyyyMMdd, UTC    §2 interval: …; §2 error -902 …; TestDecodeDate
//	dateTo alone is dropped by the client    §2 path: an empty date in the middle is no route
//	literals in any case, slash at the end   §2 path: literals …, slashes …
//	Content-Type on a GET, Accept            §2 the client's own headers; §2 media type …
//	percent-encoding                         §2 path: percent-encoded; TestDecodePath
//	OPTIONS: the origin, not *               §2 preflight …
//	ListConsumptionLogsResponse              §2 the documentation's sample
//	no rows: [], never null                  §2 interval: from after to
//	requestID: a number that grows           §2 requestID …
//	requestDateTime, from, to: date-times    §2 the documentation's sample; §2 requestDateTime …
//	resultCode 0, resultMessage Ok           every success
//	counters: int32, sizes: int64            §2 §6 counters …; TestCountersAreClamped
//	no further members                       every answer: dialecttest.Row wants exactly these
//	promptTokens: values are strings         §2 §6 counters …; every log
//	five pipes, key obfuscated, $ or empty   §2 keys …; TestTokensKeyHasFivePipes
//	nullable texts                           §2 usage of a service has no memori
//	media types                              §2 media type …
//	what counts as chargeable                §2 charge …; TestCounters
//	errors are HTTP 200, every one           every §2 error
//	-101, -102, -901 to -905, -1, -12        §2 error …
//	-51, -52                                 §2 error …
//	-103: a token that has expired           §2 error -103; TestExpiredTokenIsToldApart
//	401, 403, 404, 422, 500 as resultCode    §2 404 …, 405 …, 500
//	429, 503                                 §2 429; TestExchanges
//	a token is not echoed                    §2 token: not echoed
//	a token is in no log                     §6 the log; suite Secrets, Failures
//	access rule                              suite Access, Neighbours
//	inclusive ends, months touched           §2 interval: …; TestPeriodsTouchedByAnInterval
//	to = the start of the next period        every log
//	one row per period, user, memori; order  §2 grain …; TestLogsAreOrderedAndNamed
//	type echoed as Daily                     §2 type: …
//	order of the checks                      TestValidationOrder; §2 order …
func TestConformance(t *testing.T) {
	c := &conformance{Harness: dialecttest.New(t)}
	c.write(t)
	c.Conform(t, c.paths())
	c.Conform(t, c.answers())
	c.Conform(t, c.intervals())
	c.Conform(t, c.refusals())
	c.Conform(t, c.origins())
	t.Run("§2 token: not echoed, in no header either", c.echo)
	t.Run("§2 requestID and requestDateTime", c.numbered)
	t.Run("§2 429 and -103", c.tooMany)
	t.Run("§2 500 and §6 the log", c.internal)
}

type conformance struct {
	*dialecttest.Harness
	month time.Time // the first instant of a month that is over
}

var headers = []string{"Content-Type", "application/json; charset=utf-8", "Vary", "Origin"}

// compact is yyyyMMdd of the month's days, counted from 0.
func (c *conformance) compact(day int) string {
	return c.month.AddDate(0, 0, day).Format("20060102")
}

// write puts into the ledger, besides what a Harness has: the documentation's sample on the
// month's first day, everything else around it.
func (c *conformance) write(t *testing.T) {
	now := time.Now().UTC()
	c.month = time.Date(now.Year(), now.Month()-3, 1, 0, 0, 0, 0, time.UTC)
	o := c.Acme
	at := func(user dialecttest.User, at time.Time, members string) string {
		return fmt.Sprintf(`{"time":%q,"user_id":%q,%s}`,
			at.Format(time.RFC3339Nano), user.ID, members)
	}
	const openAI = `"provider":"OpenAI","provider_endpoint":"https://api.openai.com/v1",` +
		`"provider_key":"sk-live-abcd","model":"gpt-4o",`
	members := fmt.Sprintf(`"agent_id":%q,`, o.MembersAgent.ID)
	admins := fmt.Sprintf(`"agent_id":%q,`, o.AdminsAgent.ID)
	lastInstant := func(day int) time.Time {
		return c.month.AddDate(0, 0, day+1).Add(-time.Microsecond)
	}
	c.Events(t, o,
		at(o.Member, c.month, members+openAI+`"purpose":"QA","usage":{"SESSIONS":1,`+
			`"VALID_SESSIONS":1,"COMPLETIONS":2,"INPUT":1234,"OUTPUT":321}`),
		// The same day: another user, then another memori.
		at(o.Admin, lastInstant(0), admins+openAI+`"purpose":"IE","chargeable":false,"usage":{`+
			`"COMPLETIONS":3,"DEEP_THOUGHT_COMPLETIONS":4,"IMPORTED_CHARS":5,"INPUT":10,"SESSIONS":6}`),
		at(o.Member, lastInstant(0), admins+`"usage":{"DEEP_THOUGHT_VALID_SESSIONS":7,`+
			`"DEEP_THOUGHT_COMPLETIONS":8,"IMPORTED_CHARS":9}`),
		// The second day: a service's, and pipes.
		at(o.Member, c.month.AddDate(0, 0, 1), `"service":"transcription","provider":"a|b",`+
			`"provider_key":"short","purpose":"DT","usage":{"REASONING":3,"OUTPUT":4,"CACHED_INPUT":5,`+
			`"CACHE_WRITE":6,"INPUT":"0.5"}`),
		// The third day: nothing that Memori counts.
		at(o.Member, c.month.AddDate(0, 0, 2), members+`"usage":{"OPENAI_TOKENS":1,"VAPI_SECONDS":2}`),
		// The fourth day: more than an int32 holds.
		at(o.Member, c.month.AddDate(0, 0, 3), members+`"usage":{"SESSIONS":2147483648,`+
			`"COMPLETIONS":2147483647,"VALID_SESSIONS":"1.9","IMPORTED_CHARS":999999999999}`),
		// The last instant of the month, and the first of the next.
		at(o.Admin, c.month.AddDate(0, 1, 0).Add(-time.Microsecond), admins+`"usage":{"SESSIONS":11}`),
		at(o.Admin, c.month.AddDate(0, 1, 0), admins+`"usage":{"SESSIONS":12}`),
	)
	// And more tokens than a double holds, on the fifth day.
	many := make([]string, 9008)
	for i := range many {
		many[i] = at(o.Member, c.month.AddDate(0, 0, 4), members+`"usage":{"INPUT":999999999999}`)
	}
	c.Events(t, o, many...)
}

// log is one log of a period that starts some days into the month; set has its members that are
// not 0, {} or null.
func (c *conformance) log(from, to time.Time, set map[string]string) string {
	members := map[string]string{
		"consumptionLogID": `"` + dialecttest.AnyID + `"`,
		"from":             from.Format(`"2006-01-02T15:04:05Z"`),
		"to":               to.Format(`"2006-01-02T15:04:05Z"`),
		"type":             `"Daily"`, "tenantName": `"` + c.Acme.Tenant + `"`,
		"promptTokens": "{}", "completionTokens": "{}",
	}
	for _, name := range []string{
		"totalSessions", "validSessions", "completions", "deepThoughtValidSessions",
		"deepThoughtCompletions", "importedSize", "nonChargeableCompletions",
		"nonChargeableDeepThoughtCompletions", "nonChargeableImportedSize",
	} {
		members[name] = "0"
	}
	for _, name := range []string{"userID", "userName", "memoriID", "memoriName"} {
		members[name] = "null"
	}
	maps.Copy(members, set)
	var parts []string
	for name, value := range members {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// of adds who and what a log is about to its numbers.
func of(u dialecttest.User, a dialecttest.Agent, set map[string]string) map[string]string {
	all := map[string]string{
		"userID": fmt.Sprintf("%q", u.ID), "userName": fmt.Sprintf("%q", u.Name),
		"memoriID": fmt.Sprintf("%q", a.ID), "memoriName": fmt.Sprintf("%q", a.Name),
	}
	if a.ID == uuid.Nil {
		all["memoriID"], all["memoriName"] = "null", "null"
	}
	maps.Copy(all, set)
	return all
}

func (c *conformance) day(n int, set map[string]string) string {
	return c.log(c.month.AddDate(0, 0, n), c.month.AddDate(0, 0, n+1), set)
}

// The logs of what write wrote.
const (
	charged    = `"OpenAI|https://api.openai.com/v1|sk-…abcd|gpt-4o|$|QA"`
	notCharged = `"OpenAI|https://api.openai.com/v1|sk-…abcd|gpt-4o||IE"`
	service    = `"a¦b||…||$|DT"`
)

func (c *conformance) sample() string {
	return c.day(0, of(c.Acme.Member, c.Acme.MembersAgent, map[string]string{
		"totalSessions": "1", "validSessions": "1", "completions": "2",
		"promptTokens": `{` + charged + `:"1234"}`, "completionTokens": `{` + charged + `:"321"}`,
	}))
}

func (c *conformance) admins() string {
	return c.day(0, of(c.Acme.Admin, c.Acme.AdminsAgent, map[string]string{
		"totalSessions": "6", "nonChargeableCompletions": "3",
		"nonChargeableDeepThoughtCompletions": "4", "nonChargeableImportedSize": "5",
		"promptTokens": `{` + notCharged + `:"10"}`,
	}))
}

func (c *conformance) membersOfAdmins() string {
	return c.day(0, of(c.Acme.Member, c.Acme.AdminsAgent, map[string]string{
		"deepThoughtValidSessions": "7", "deepThoughtCompletions": "8", "importedSize": "9",
	}))
}

// answered is a row with these logs.
func answered(name string, r dialecttest.Request, logs ...string) dialecttest.Row {
	return dialecttest.Row{Name: "§2 " + name, Request: r, Status: 200, Header: headers,
		Body: `{"consumptionLogs":[` + strings.Join(logs, ",") + `],"requestID":"` +
			dialecttest.AnyInteger + `","requestDateTime":"` + dialecttest.AnyInstant +
			`","resultCode":0,"resultMessage":"Ok"}`}
}

// failed is a row with a result code.
func failed(name string, r dialecttest.Request, code int, message string) dialecttest.Row {
	return dialecttest.Row{Name: "§2 " + name, Request: r, Status: 200, Header: headers,
		Body: fmt.Sprintf(`{"consumptionLogs":null,"requestID":%q,"requestDateTime":%q,`+
			`"resultCode":%d,"resultMessage":%q}`, dialecttest.AnyInteger, dialecttest.AnyInstant,
			code, message)}
}

// get is a request as the published client sends it.
func get(path ...string) dialecttest.Request {
	return dialecttest.Request{Method: "GET", Path: strings.Join(path, "/"),
		Header: []string{"Content-Type", "application/json", "Accept", "*/*"}}
}

const (
	tenantRoute = "/api/v2/TenantConsumptionLogs"
	userRoute   = "/api/v2/UserConsumptionLogs"
	memoriRoute = "/api/v2/MemoriConsumptionLogs"
)

// paths are the three routes in all their lengths and spellings.
func (c *conformance) paths() []dialecttest.Row {
	o := c.Acme
	admin, member := o.Admin.LoginToken, o.Member.LoginToken
	first, second := c.compact(0), c.compact(1)
	last, next := c.compact(-1+daysOf(c.month)), c.compact(daysOf(c.month))
	tail := []string{
		c.log(c.month.AddDate(0, 1, -1), c.month.AddDate(0, 1, 0),
			of(o.Admin, o.AdminsAgent, map[string]string{"totalSessions": "11"})),
		c.log(c.month.AddDate(0, 1, 0), c.month.AddDate(0, 1, 1),
			of(o.Admin, o.AdminsAgent, map[string]string{"totalSessions": "12"})),
	}
	firstDay := []string{c.admins(), c.sample(), c.membersOfAdmins()}
	escaped := strings.ReplaceAll(url.PathEscape(o.Tenant), ".", "%2E")
	today := c.today()
	without := get(tenantRoute, admin, o.Tenant, "Daily", first, first)
	without.Header = nil
	user, memori := o.Member.ID.String(), o.MembersAgent.ID.String()
	return []dialecttest.Row{
		answered("path: a tenant, both dates", get(tenantRoute, admin, o.Tenant, "Daily", first, first),
			firstDay...),
		answered("path: a user, both dates", get(userRoute, member, user, "Daily", first, first),
			c.sample(), c.membersOfAdmins()),
		answered("path: a memori, both dates", get(memoriRoute, member, memori, "Daily", first, first),
			c.sample()),
		answered("path: a tenant, one date",
			get(tenantRoute, c.Globex.Admin.LoginToken, c.Globex.Tenant, "Daily", next), today...),
		answered("path: a user, one date",
			get(userRoute, c.Globex.Admin.LoginToken, c.Globex.Admin.ID.String(), "Daily", next),
			today[0]),
		answered("path: a memori, one date",
			get(memoriRoute, c.Globex.Admin.LoginToken, c.Globex.AdminsAgent.ID.String(), "Daily", next),
			today[0]),
		answered("path: a tenant, no date: everything",
			get(tenantRoute, c.Globex.Admin.LoginToken, c.Globex.Tenant, "Daily"), today...),
		answered("path: a user, no date: everything",
			get(userRoute, c.Globex.Member.LoginToken, c.Globex.Member.ID.String(), "Daily"), today[1]),
		answered("path: a memori, no date: everything",
			get(memoriRoute, c.Globex.Member.LoginToken, c.Globex.MembersAgent.ID.String(), "Daily"),
			today[1]),
		answered("path: the month's end and the next one's start",
			get(tenantRoute, admin, o.Tenant, "Daily", last, next), tail...),
		answered("path: slashes behind", get(tenantRoute, admin, o.Tenant, "Daily", first, first, "/"),
			firstDay...),
		answered("path: a slash behind two segments fewer",
			get(userRoute, c.Globex.Member.LoginToken, c.Globex.Member.ID.String(), "Daily/"), today[1]),
		answered("path: literals and type in any case",
			get("/API/V2/tenantconsumptionlogs", admin, o.Tenant, "DAILY", first, first), firstDay...),
		answered("path: percent-encoded", get(tenantRoute, "%"+fmt.Sprintf("%02x", admin[0])+admin[1:],
			escaped, "%44aily", first, first), firstDay...),
		answered("path: a GUID in capitals",
			get(userRoute, member, strings.ToUpper(user), "Daily", first, first),
			c.sample(), c.membersOfAdmins()),
		answered("path: a query is nobody's", get(memoriRoute, member, memori, "Daily", first,
			first+"?strDateTo="+second), c.sample()),
		answered("the client's own headers are not needed", without, firstDay...),
		answered("token: an Authorization is not looked at",
			get(memoriRoute, member, memori, "Daily", first, first).
				With("Authorization", "Bearer "+c.Globex.Admin.AccessToken), c.sample()),
		failed("path: an empty date in the middle is no route",
			get(memoriRoute, member, memori, "Daily", "", first), 404, "no such route"),
	}
}

func daysOf(month time.Time) int { return month.AddDate(0, 1, -1).Day() }

// today are the logs of what a Harness has of Globex by itself, of an hour ago.
func (c *conformance) today() []string {
	o := c.Globex
	key := fmt.Sprintf(`"%s-provider||sk-…6789|%s-model|$|"`, o.Mark, o.Mark)
	whenever := map[string]string{
		"from": `"` + dialecttest.AnyInstant + `"`, "to": `"` + dialecttest.AnyInstant + `"`,
		"tenantName": fmt.Sprintf("%q", o.Tenant),
	}
	with := func(u dialecttest.User, a dialecttest.Agent, name, value, tokens, texts string) string {
		set := of(u, a, whenever)
		set[name], set[tokens] = value, texts
		return c.day(0, set)
	}
	return []string{
		with(o.Admin, o.AdminsAgent, "completions", "0", "completionTokens", `{`+key+`:"41"}`),
		with(o.Member, o.MembersAgent, "completions", "41", "promptTokens", `{`+key+`:"41"}`),
	}
}

// answers are what a log says.
func (c *conformance) answers() []dialecttest.Row {
	o := c.Acme
	member, memori := o.Member.LoginToken, o.MembersAgent.ID.String()
	onDay := func(n int) dialecttest.Request {
		return get(memoriRoute, member, memori, "Daily", c.compact(n), c.compact(n))
	}
	accepting := func(media string) dialecttest.Request {
		r := onDay(0)
		r.Header = []string{"Accept", media}
		return r
	}
	return []dialecttest.Row{
		answered("the documentation's sample", onDay(0), c.sample()),
		answered("charge: what is not chargeable is counted apart",
			get(userRoute, o.Admin.LoginToken, o.Admin.ID.String(), "Daily", c.compact(0), c.compact(0)),
			c.admins()),
		answered("keys: five pipes, whatever is in a part; usage of a service has no memori",
			get(tenantRoute, o.Admin.LoginToken, o.Tenant, "Daily", c.compact(1), c.compact(1)),
			c.day(1, of(o.Member, dialecttest.Agent{}, map[string]string{
				"promptTokens": `{` + service + `:"11.5"}`, "completionTokens": `{` + service + `:"7"}`,
			}))),
		answered("a day with nothing that counts here is absent", onDay(2)),
		answered("§6 counters: int32 is clamped, int64 is not, fractions are cut", onDay(3),
			c.day(3, of(o.Member, o.MembersAgent, map[string]string{
				"totalSessions": "2147483647", "completions": "2147483647", "validSessions": "1",
				"importedSize": "999999999999",
			}))),
		answered("§6 tokens beyond 2^53 are exact, and strings", onDay(4),
			c.day(4, of(o.Member, o.MembersAgent, map[string]string{
				"promptTokens": `{"||||$|":"9007999999990992"}`,
			}))),
		answered("grain: one log per user and memori, by userName, then memoriName",
			get(tenantRoute, o.Superadmin.LoginToken, o.Tenant, "Daily", c.compact(0), c.compact(0)),
			c.admins(), c.sample(), c.membersOfAdmins()),
		answered("media type: text/json is answered with JSON as well", accepting("text/json"),
			c.sample()),
		answered("media type: text/plain too", accepting("text/plain"), c.sample()),
		answered("media type: and whatever else", accepting("application/xml"), c.sample()),
	}
}

// intervals are days and months.
func (c *conformance) intervals() []dialecttest.Row {
	o := c.Acme
	of12 := func(n string, from, to time.Time) string {
		return c.log(from, to, of(o.Admin, o.AdminsAgent, map[string]string{"totalSessions": n}))
	}
	month := func(from int, set map[string]string) string {
		start := c.month.AddDate(0, from, 0)
		set["type"] = `"Monthly"`
		return c.log(start, start.AddDate(0, 1, 0), set)
	}
	admins := func(more ...string) dialecttest.Request {
		return get(append([]string{userRoute, o.Admin.LoginToken, o.Admin.ID.String()}, more...)...)
	}
	of17 := map[string]string{
		"totalSessions": "17", "nonChargeableCompletions": "3",
		"nonChargeableDeepThoughtCompletions": "4", "nonChargeableImportedSize": "5",
		"promptTokens": `{` + notCharged + `:"10"}`,
	}
	whole := func() string { return month(0, of(o.Admin, o.AdminsAgent, of17)) }
	next := func() string {
		return month(1, of(o.Admin, o.AdminsAgent, map[string]string{"totalSessions": "12"}))
	}
	days := daysOf(c.month)
	last, first := c.compact(days-1), c.compact(days)
	return []dialecttest.Row{
		answered("interval: from = to is that day", admins("Daily", last, last),
			of12("11", c.month.AddDate(0, 0, days-1), c.month.AddDate(0, 1, 0))),
		answered("interval: the day after is another", admins("Daily", first, first),
			of12("12", c.month.AddDate(0, 1, 0), c.month.AddDate(0, 1, 1))),
		answered("interval: both ends count", admins("Daily", last, first),
			of12("11", c.month.AddDate(0, 0, days-1), c.month.AddDate(0, 1, 0)),
			of12("12", c.month.AddDate(0, 1, 0), c.month.AddDate(0, 1, 1))),
		answered("interval: from after to is empty", admins("Daily", first, last)),
		answered("interval: nothing was used", admins("Daily", c.compact(days+1), c.compact(days+1))),
		answered("interval: a month is touched by its first day",
			admins("Monthly", c.compact(0), c.compact(0)), whole()),
		answered("interval: a month is touched by its last day", admins("Monthly", last, last), whole()),
		answered("interval: two months are touched by two days", admins("Monthly", last, first),
			whole(), next()),
		answered("type: monthly is Monthly", admins("monthly", first, first), next()),
		answered("interval: 29 February 2024 is a day", admins("Daily", "20240229", "20240229")),
		answered("interval: years nobody used", admins("Daily", "00010101", "19691231")),
	}
}

// refusals are the result codes.
func (c *conformance) refusals() []dialecttest.Row {
	o, other := c.Acme, c.Globex
	admin, member := o.Admin.LoginToken, o.Member.LoginToken
	nobody := "00000000-0000-4000-8000-000000000001"
	user := o.Member.ID.String()
	const notFound, session = "no such route", "Session not found"
	row := func(name string, code int, message string, path ...string) dialecttest.Row {
		return failed("error "+name, get(path...), code, message)
	}
	wrong := func(method string) dialecttest.Row {
		r := get(tenantRoute, admin, o.Tenant, "Daily")
		r.Method = method
		row := failed("405 "+method, r, 405, "Method Not Allowed")
		row.Header = append([]string{"Allow", "GET, HEAD, OPTIONS"}, headers...)
		return row
	}
	rows := []dialecttest.Row{wrong("POST"), wrong("PUT"), wrong("DELETE"),
		row("-101: an unknown token", -101, session, tenantRoute, nobody, o.Tenant, "Daily"),
		row("-101: an access token is no login token", -101, session,
			tenantRoute, o.Admin.AccessToken, o.Tenant, "Daily"),
		row("-101: a former superadmin", -101, session,
			tenantRoute, o.Former.LoginToken, o.Tenant, "Daily"),
		row("-102: a member asks for the tenant", -102, "Non-administrative session",
			tenantRoute, member, o.Tenant, "Daily"),
		row("-102: a member asks for another user", -102, "Non-administrative session",
			userRoute, member, o.Admin.ID.String(), "Daily"),
		row("-102: a member asks for another's memori", -102, "Non-administrative session",
			memoriRoute, member, o.AdminsAgent.ID.String(), "Daily"),
		row("-1: an unknown tenant", -1, "Tenant not found",
			tenantRoute, admin, "nobody.example", "Daily"),
		row("-12: an unknown user", -12, "User not found", userRoute, admin, nobody, "Daily"),
		row("-51: an unknown memori", -51, "Agent not found", memoriRoute, admin, nobody, "Daily"),
		row("-52: another's memori", -52, "Agent not accessible",
			memoriRoute, admin, other.MembersAgent.ID.String(), "Daily"),
		row("404: no type", 404, notFound, tenantRoute, admin, o.Tenant),
		row("404: a segment too many", 404, notFound,
			tenantRoute, admin, o.Tenant, "Daily", "20260101", "20260102", "x"),
		row("404: another call of the original's", 404, "Not Found", "/api/v2/Session", admin),
		row("404: the prefix alone", 404, "Not Found", "/api/v2/"),
		row("order: the token comes first", -101, session, userRoute, nobody, "x", "x", "x", "x"),
		row("order: then the type", -901, "Invalid log type", userRoute, admin, "x", "x", "x", "x"),
		row("order: then the first date", -902, "Date from: invalid format",
			userRoute, admin, "x", "Daily", "x", "x"),
		row("order: then the second", -903, "Date to: invalid format",
			userRoute, admin, "x", "Daily", "20260101", "x"),
		row("order: then the id", -904, "Invalid user ID", userRoute, admin, "x", "Daily"),
	}
	for _, kind := range []string{"Weekly", "Day", "Daily%20", "1", "Dayly"} {
		rows = append(rows, row("-901: "+kind, -901, "Invalid log type", userRoute, member, user, kind))
	}
	for _, date := range []string{
		"20260230", "20250229", "20261301", "20260100", "2026-01-31", "202601", "0", "x", "20260131Z",
		"00000101", "%2B2260131",
	} {
		rows = append(rows,
			row("-902: "+date, -902, "Date from: invalid format", userRoute, member, user, "Daily", date),
			row("-903: "+date, -903, "Date to: invalid format",
				userRoute, member, user, "Monthly", "20260101", date))
	}
	for _, id := range []string{
		"1", "me", user + "0", strings.ReplaceAll(user, "-", ""), "%7B" + user + "%7D",
		"%22" + user + "%22",
	} {
		rows = append(rows, row("-904: "+id, -904, "Invalid user ID", userRoute, admin, id, "Daily"),
			row("-905: "+id, -905, "Invalid Memori ID", memoriRoute, admin, id, "Daily"))
	}
	return rows
}

// origins are requests from a browser.
func (c *conformance) origins() []dialecttest.Row {
	const origin = "https://app.example"
	allowed := []string{
		"Access-Control-Allow-Origin", origin, "Access-Control-Allow-Credentials", "true",
	}
	o := c.Acme
	ask := get(memoriRoute, o.Member.LoginToken, o.MembersAgent.ID.String(), "Daily", c.compact(0),
		c.compact(0)).With("Origin", origin)
	asked := answered("origin: a success says it", ask, c.sample())
	asked.Header = append(allowed, headers...)
	refused := failed("origin: an error says it", get("/api/v2/none").With("Origin", origin), 404,
		"Not Found")
	refused.Header = asked.Header
	rows := []dialecttest.Row{asked, refused}
	for _, route := range []string{tenantRoute, userRoute, memoriRoute} {
		for _, tail := range []string{
			"/t/n/Daily", "/t/n/Daily/20260101", "/t/n/Daily/20260101/20260131",
		} {
			rows = append(rows, dialecttest.Row{
				Name: "§2 preflight: the origin itself, " + route + tail,
				Request: dialecttest.Request{Method: "OPTIONS", Path: route + tail, Header: []string{
					"Origin", origin, "Access-Control-Request-Method", "GET",
					"Access-Control-Request-Headers", "content-type",
				}},
				Status: 204,
				Header: append([]string{
					"Access-Control-Allow-Methods", "GET",
					"Access-Control-Allow-Headers", "content-type", "Vary", "Origin",
				}, allowed...),
			})
		}
	}
	return rows
}

// echo sends tokens, good ones and others, wherever a text may come back.
func (c *conformance) echo(t *testing.T) {
	good, bad := c.Acme.Member.LoginToken, uuid.NewString()
	for _, token := range []string{good, bad} {
		for _, path := range [][]string{
			{tenantRoute, token, c.Acme.Tenant, "Daily"}, {tenantRoute, token, token, token, token},
			{userRoute, token, token, "Daily"}, {memoriRoute, token, token, "Daily"},
			{"/api/v2/Sessions", token}, {tenantRoute, token}, {"/api/v2", token, "x"},
		} {
			got := c.Do(t, get(path...))
			if strings.Contains(got.String()+fmt.Sprint(got.Header), token) {
				t.Errorf("%v: %v %v", path, got, got.Header)
			}
		}
		if strings.Contains(c.Log.String(), token) {
			t.Error("the log has a token")
		}
	}
}

// numbered looks at what an answer says of itself.
func (c *conformance) numbered(t *testing.T) {
	previous := int64(0)
	for _, r := range []dialecttest.Request{
		get(tenantRoute, c.Acme.Admin.LoginToken, c.Acme.Tenant, "Monthly"), get("/api/v2/none"),
		get(tenantRoute, "nobody", "n", "Daily"),
	} {
		began := time.Now().UTC().Truncate(time.Millisecond)
		got := c.Do(t, r)
		var answer struct {
			RequestID       int64
			RequestDateTime string
		}
		if err := json.Unmarshal(got.Body, &answer); err != nil {
			t.Fatal(err)
		}
		if previous > 0 && answer.RequestID != previous+1 {
			t.Errorf("request %d after %d", answer.RequestID, previous)
		}
		previous = answer.RequestID
		at, err := time.Parse("2006-01-02T15:04:05.000Z", answer.RequestDateTime)
		if err != nil || at.Before(began) || at.After(time.Now()) {
			t.Errorf("requestDateTime %s", answer.RequestDateTime)
		}
	}
}

// tooMany asks with a token that may ask once a minute, and with one that was good once.
func (c *conformance) tooMany(t *testing.T) {
	k := schema.Credential{
		Kind: schema.LoginToken, Organization: c.Acme.ID, User: c.Acme.Member.ID,
	}
	path := func(token string) dialecttest.Request {
		return get(userRoute, token, c.Acme.Member.ID.String(), "Daily", "20260131", "20260101")
	}
	token := c.Limited(t, k, 1)
	row := answered("429: before", path(token))
	row.Check(t, c.Do(t, row.Request))
	row = failed("429", path(token), 429,
		"the credential has used up its requests of this minute; try again later")
	row.Check(t, c.Do(t, row.Request))
	k.ExpiresAt = time.Now().UTC().Truncate(time.Microsecond)
	row = failed("error -103", path(c.Limited(t, k, 1)), -103, "Session expired")
	row.Check(t, c.Do(t, row.Request))
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
	for _, token := range []string{c.Acme.Admin.LoginToken, "%" +
		fmt.Sprintf("%02x", c.Acme.Admin.LoginToken[0]) + c.Acme.Admin.LoginToken[1:]} {
		row := failed("500", get(tenantRoute, token, c.Acme.Tenant, "Daily"), 500,
			"Internal Server Error")
		row.Check(t, node.Do(t, row.Request))
	}
	log := node.Log.String()
	if !strings.Contains(log, `route=/api/v2/TenantConsumptionLogs/*`) {
		t.Errorf("the log says nothing of the route: %s", log)
	}
	if strings.Contains(log, c.Acme.Admin.LoginToken[1:]) || strings.Contains(log, "/Daily") {
		t.Errorf("the log has a path: %s", log)
	}
}
