package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
)

// days are those of the consumption: two in the first month and its last, and two of the next.
func (c clients) days() (fifth, sixth, last, first, third time.Time) {
	next := c.month.AddDate(0, 1, 0)
	return c.month.AddDate(0, 0, 4), c.month.AddDate(0, 0, 5), next.AddDate(0, 0, -1), next,
		next.AddDate(0, 0, 2)
}

// bulk is so many events of the largest quantity an event may have that their sum needs more
// digits than a JavaScript number keeps.
const bulk, bulkInput = 9100, "999999999999"

// writeConsumption writes what Memori's client reads: at both ends of days and of a month, by two
// users of two memoris, chargeable and not.
func (c clients) writeConsumption(t *testing.T) {
	t.Helper()
	fifth, sixth, last, first, third := c.days()
	event := func(at time.Time, user, agent string, usage, more map[string]any) map[string]any {
		e := map[string]any{"time": instant(at), "user_id": user, "usage": usage}
		if agent != "" {
			e["agent_id"] = agent
		}
		for name, value := range more {
			e[name] = value
		}
		return e
	}
	openAI := func(purpose string, chargeable bool) map[string]any {
		return map[string]any{
			"provider": "OpenAI", "provider_endpoint": "https://api.openai.com/v1",
			"provider_key": "sk-live-abcd1234", "model": "gpt-4o", "purpose": purpose,
			"chargeable": chargeable,
		}
	}
	events := []map[string]any{
		event(fifth, ida, conciergeAgent, map[string]any{
			"SESSIONS": 2, "VALID_SESSIONS": 1, "COMPLETIONS": 3,
			"INPUT": 1200, "CACHED_INPUT": 800, "CACHE_WRITE": 30, "OUTPUT": 350, "REASONING": 50,
		}, openAI("QA", true)),
		event(sixth.Add(-time.Microsecond), ida, conciergeAgent, map[string]any{
			"DEEP_THOUGHT_VALID_SESSIONS": 1, "DEEP_THOUGHT_COMPLETIONS": 2, "INPUT": 34, "OUTPUT": 1,
		}, openAI("DT", true)),
		event(sixth, ida, conciergeAgent, map[string]any{
			"SESSIONS": 4, "COMPLETIONS": 7, "DEEP_THOUGHT_COMPLETIONS": 8,
			"IMPORTED_CHARS": 123456789012, "INPUT": 50,
		}, openAI("QA", false)),
		event(sixth.Add(12*time.Hour), jon, conciergeAgent, map[string]any{
			"COMPLETIONS": 1, "IMPORTED_CHARS": 4294967296, "INPUT": "0.5",
		}, map[string]any{"purpose": "a|b"}),
		event(first.Add(-time.Microsecond), jon, tutorAgent, map[string]any{
			"COMPLETIONS": 10, "INPUT": 1,
		}, openAI("IE", true)),
		event(first, jon, tutorAgent, map[string]any{"COMPLETIONS": 20}, nil),
		event(third, ida, "", map[string]any{"INPUT": 5}, map[string]any{"service": "transcription"}),
		// Neither has a place in a log.
		event(third, ida, tutorAgent, map[string]any{"VAPI_SECONDS": 60, "UNITS": 1}, nil),
	}
	for range bulk {
		events = append(events, event(last.Add(time.Hour), jon, tutorAgent,
			map[string]any{"INPUT": json.Number(bulkInput)}, openAI("IE", true)))
	}
	c.writeEvents(t, idaAccess, events...)
}

// memoriLog returns the log that has these members and is zero otherwise. It has every member the
// published type has, and no other.
func memoriLog(
	kind string, from, to time.Time, user, agent string, set map[string]any,
) map[string]any {
	names := map[string]any{
		"": nil, ida: "Ida", jon: "Jon", conciergeAgent: "Concierge", tutorAgent: "Tutor",
	}
	log := map[string]any{
		"consumptionLogID": "a UUID", "type": kind,
		"from": from.Format(time.RFC3339), "to": to.Format(time.RFC3339),
		"userID": user, "userName": names[user], "tenantName": "www.initech.example",
		"memoriID": agent, "memoriName": names[agent],
		"promptTokens": map[string]any{}, "completionTokens": map[string]any{},
	}
	if agent == "" {
		log["memoriID"] = nil
	}
	for _, counter := range []string{
		"totalSessions", "validSessions", "completions",
		"deepThoughtValidSessions", "deepThoughtCompletions", "importedSize",
		"nonChargeableCompletions", "nonChargeableDeepThoughtCompletions", "nonChargeableImportedSize",
	} {
		log[counter] = json.Number("0")
	}
	for name, value := range set {
		if n, ok := value.(int); ok {
			value = json.Number(strconv.Itoa(n))
		}
		log[name] = value
	}
	return log
}

// Keys of tokens as the logs show them.
const (
	keyQA     = "OpenAI|https://api.openai.com/v1|sk-…1234|gpt-4o|$|QA"
	keyDT     = "OpenAI|https://api.openai.com/v1|sk-…1234|gpt-4o|$|DT"
	keyIE     = "OpenAI|https://api.openai.com/v1|sk-…1234|gpt-4o|$|IE"
	keyFreeQA = "OpenAI|https://api.openai.com/v1|sk-…1234|gpt-4o||QA"
	keyPiped  = "||||$|a¦b"
	keyBare   = "||||$|"

	bulkTokens = "9099999999990901" // of the bulk and one more; odd, which no float64 there is
)

// dailyLogs are all days of the consumption, in their order.
func (c clients) dailyLogs() []any {
	fifth, sixth, last, first, third := c.days()
	daily := func(day time.Time, user, agent string, set map[string]any) any {
		return memoriLog("Daily", day, day.AddDate(0, 0, 1), user, agent, set)
	}
	return []any{
		daily(fifth, ida, conciergeAgent, map[string]any{
			"totalSessions": 2, "validSessions": 1, "completions": 3,
			"deepThoughtValidSessions": 1, "deepThoughtCompletions": 2,
			"promptTokens":     map[string]any{keyQA: "2030", keyDT: "34"},
			"completionTokens": map[string]any{keyQA: "400", keyDT: "1"},
		}),
		daily(sixth, ida, conciergeAgent, map[string]any{
			"totalSessions": 4, "nonChargeableCompletions": 7,
			"nonChargeableDeepThoughtCompletions": 8, "nonChargeableImportedSize": 123456789012,
			"promptTokens": map[string]any{keyFreeQA: "50"},
		}),
		daily(sixth, jon, conciergeAgent, map[string]any{
			"completions": 1, "importedSize": 4294967296,
			"promptTokens": map[string]any{keyPiped: "0.5"},
		}),
		daily(last, jon, tutorAgent, map[string]any{
			"completions": 10, "promptTokens": map[string]any{keyIE: bulkTokens},
		}),
		daily(first, jon, tutorAgent, map[string]any{"completions": 20}),
		daily(third, ida, "", map[string]any{"promptTokens": map[string]any{keyBare: "5"}}),
	}
}

// monthlyLogs are the same by month.
func (c clients) monthlyLogs() []any {
	monthly := func(month int, user, agent string, set map[string]any) any {
		from := c.month.AddDate(0, month, 0)
		return memoriLog("Monthly", from, from.AddDate(0, 1, 0), user, agent, set)
	}
	return []any{
		monthly(0, ida, conciergeAgent, map[string]any{
			"totalSessions": 6, "validSessions": 1, "completions": 3,
			"deepThoughtValidSessions": 1, "deepThoughtCompletions": 2, "nonChargeableCompletions": 7,
			"nonChargeableDeepThoughtCompletions": 8, "nonChargeableImportedSize": 123456789012,
			"promptTokens":     map[string]any{keyQA: "2030", keyDT: "34", keyFreeQA: "50"},
			"completionTokens": map[string]any{keyQA: "400", keyDT: "1"},
		}),
		monthly(0, jon, conciergeAgent, map[string]any{
			"completions": 1, "importedSize": 4294967296,
			"promptTokens": map[string]any{keyPiped: "0.5"},
		}),
		monthly(0, jon, tutorAgent, map[string]any{
			"completions": 10, "promptTokens": map[string]any{keyIE: bulkTokens},
		}),
		monthly(1, ida, "", map[string]any{"promptTokens": map[string]any{keyBare: "5"}}),
		monthly(1, jon, tutorAgent, map[string]any{"completions": 20}),
	}
}

// memoriCase is a call of Memori's client and its outcome: logs, or the result of an error.
type memoriCase struct {
	name   string
	method string
	args   []any // nil is an argument left out
	logs   []any

	code    int
	message string
}

const (
	ofTenant = "getTenantConsumptionLogs"
	ofUser   = "getUserConsumptionLogs"
	ofMemori = "getMemoriConsumptionLogs"
	initech  = "www.initech.example"
)

func (c clients) memoriReads() []memoriCase {
	day := func(t time.Time) string { return t.Format("20060102") }
	fifth, sixth, last, first, third := c.days()
	daily, monthly := c.dailyLogs(), c.monthlyLogs()
	pick := func(logs []any, at ...int) []any {
		picked := []any{}
		for _, i := range at {
			picked = append(picked, logs[i])
		}
		return picked
	}
	read := func(name, method string, logs []any, args ...any) memoriCase {
		return memoriCase{name: name, method: method, args: args, logs: logs}
	}
	return []memoriCase{
		read("all days", ofTenant, daily, idaLogin, initech, "Daily"),
		read("days from one on", ofTenant, daily[3:], idaLogin, initech, "Daily", day(last)),
		read("days between two", ofTenant, daily[1:5],
			idaLogin, initech, "Daily", day(sixth), day(first)),
		read("one day", ofTenant, daily[1:3], idaLogin, initech, "Daily", day(sixth), day(sixth)),
		read("a day without usage", ofTenant, []any{}, idaLogin, initech, "Daily",
			day(sixth.AddDate(0, 0, 1)), day(sixth.AddDate(0, 0, 1))),
		read("from after to", ofTenant, []any{}, idaLogin, initech, "Daily", day(sixth), day(fifth)),
		read("an end alone, which the client drops", ofTenant, daily,
			idaLogin, initech, "Daily", nil, day(fifth)),
		read("another case", ofTenant, daily[:1], idaLogin, initech, "daily", day(fifth), day(fifth)),
		read("all months", ofTenant, monthly, idaLogin, initech, "Monthly"),
		read("months from one on", ofTenant, monthly[3:], idaLogin, initech, "Monthly", day(third)),
		read("a month by two of its days", ofTenant, monthly[:3],
			idaLogin, initech, "Monthly", day(fifth), day(sixth)),

		read("an admin about a user", ofUser, pick(daily, 2, 3, 4), idaLogin, jon, "Daily"),
		read("a user about themselves", ofUser, pick(daily, 2, 3, 4), jonLogin, jon, "Daily"),
		read("a user by month, namespaced", "consumptionLogs."+ofUser, pick(monthly, 1, 2, 4),
			jonLogin, jon, "Monthly"),
		read("a user from a day on", ofUser, pick(daily, 4), jonLogin, jon, "Daily", day(first)),
		read("a user between two days", ofUser, pick(daily, 2, 3),
			jonLogin, jon, "Daily", day(sixth), day(last)),

		read("a memori", ofMemori, pick(daily, 0, 1, 2), idaLogin, conciergeAgent, "Daily"),
		read("a memori by month", ofMemori, pick(monthly, 0, 1), idaLogin, conciergeAgent, "Monthly"),
		read("an owner about a memori", ofMemori, pick(daily, 3, 4),
			jonLogin, tutorAgent, "Daily", day(last)),
		read("a memori on its last day", "consumptionLogs."+ofMemori, pick(daily, 3),
			jonLogin, tutorAgent, "Daily", day(last), day(last)),
	}
}

func memoriRefusals() []memoriCase {
	refused := func(name, method string, code int, message string, args ...any) memoriCase {
		return memoriCase{name: name, method: method, args: args, code: code, message: message}
	}
	return []memoriCase{
		refused("bad token, tenant", ofTenant, -101, "Session not found", nobody, initech, "Daily"),
		refused("bad token, user", ofUser, -101, "Session not found", nobody, jon, "Daily"),
		refused("bad token, memori", ofMemori, -101, "Session not found", nobody, tutorAgent, "Daily"),
		refused("another kind of token", ofTenant, -101, "Session not found",
			idaAccess, initech, "Daily"),
		refused("bad type", ofTenant, -901, "Invalid log type", idaLogin, initech, "Weekly"),
		refused("no such date from", ofUser, -902, "Date from: invalid format",
			idaLogin, jon, "Daily", "20260230"),
		refused("bad date from", ofTenant, -902, "Date from: invalid format",
			idaLogin, initech, "Daily", "2026-01-01"),
		refused("bad date to", ofMemori, -903, "Date to: invalid format",
			idaLogin, tutorAgent, "Monthly", "20260101", "tomorrow"),
		refused("bad user id", ofUser, -904, "Invalid user ID", idaLogin, "jon", "Daily"),
		refused("bad memori id", ofMemori, -905, "Invalid Memori ID", idaLogin, "tutor", "Daily"),
		refused("a member about the tenant", ofTenant, -102, "Non-administrative session",
			jonLogin, initech, "Daily"),
		refused("a member about another user", ofUser, -102, "Non-administrative session",
			jonLogin, ida, "Daily"),
		refused("a member about another's memori", ofMemori, -102, "Non-administrative session",
			jonLogin, conciergeAgent, "Daily"),
		refused("an admin about another tenant", ofTenant, -102, "Non-administrative session",
			idaLogin, "www.globex.example", "Daily"),
		refused("unknown tenant", ofTenant, -1, "Tenant not found",
			idaLogin, "www.unknown.example", "Daily"),
		refused("unknown user", ofUser, -12, "User not found", idaLogin, nobody, "Daily"),
		refused("unknown memori", ofMemori, -51, "Agent not found", idaLogin, nobody, "Daily"),
		refused("foreign memori", ofMemori, -52, "Agent not accessible",
			idaLogin, foreignAgent, "Daily"),
	}
}

func testMemori(t *testing.T, c clients) {
	cases := append(c.memoriReads(), memoriRefusals()...)
	calls := make([]map[string]any, len(cases))
	for i, m := range cases {
		calls[i] = map[string]any{"method": m.method, "args": m.args}
	}
	var answers []map[string]any
	c.runScript(t, "memori.mjs", calls, &answers)
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d calls", len(answers), len(cases))
	}
	ids, previous := map[string]string{}, int64(0)
	for i, m := range cases {
		value, _ := answers[i]["value"].(map[string]any)
		previous = sameRequest(t, c, m.name, value, previous)
		logs, _ := value["consumptionLogs"].([]any)
		for _, log := range logs {
			sameLogID(t, m.name, log, ids)
		}
		want := map[string]any{
			"consumptionLogs": nil, "resultMessage": m.message,
			"resultCode": json.Number(strconv.Itoa(m.code)),
			"requestID":  "the next", "requestDateTime": during,
		}
		if m.code == 0 {
			want["consumptionLogs"], want["resultMessage"] = m.logs, "Ok"
		}
		same(t, m.name, answers[i], map[string]any{"value": want})
	}
}

// sameRequest replaces what tells one request from another when it is as it should be: an integer
// above the one before, and a time of the test. It returns the integer.
func sameRequest(
	t *testing.T, c clients, name string, value map[string]any, previous int64,
) int64 {
	t.Helper()
	number, _ := value["requestID"].(json.Number)
	id, err := number.Int64()
	if err != nil || id <= previous {
		t.Errorf("%s: requestID is %v after %d", name, value["requestID"], previous)
		return previous
	}
	value["requestID"] = "the next"
	text, _ := value["requestDateTime"].(string)
	at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	if err == nil && !at.Before(c.now) && !at.After(time.Now()) {
		value["requestDateTime"] = during
	}
	return id
}

// sameLogID replaces a log's id when it is a UUID and this log's alone, in all answers.
func sameLogID(t *testing.T, name string, log any, ids map[string]string) {
	t.Helper()
	l, _ := log.(map[string]any)
	about := fmt.Sprint(l["type"], l["from"], l["userID"], l["memoriID"])
	id, _ := l["consumptionLogID"].(string)
	if _, err := uuid.Parse(id); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if known, ok := ids[id]; ok && known != about {
		t.Errorf("%s: one id for the logs of %s and %s", name, known, about)
	}
	for known, other := range ids {
		if other == about && known != id {
			t.Errorf("%s: the log of %s has the ids %s and %s", name, about, known, id)
		}
	}
	ids[id] = about
	l["consumptionLogID"] = "a UUID"
}

// In a browser the client sends credentials and a Content-Type, so the browser asks first.
func testMemoriPreflight(t *testing.T, c clients) {
	const origin = "https://app.example"
	for _, path := range []string{
		"/api/v2/TenantConsumptionLogs/" + idaLogin + "/" + initech + "/Daily",
		"/api/v2/UserConsumptionLogs/" + idaLogin + "/" + jon + "/Daily/20260101",
		"/api/v2/MemoriConsumptionLogs/" + idaLogin + "/" + tutorAgent + "/Monthly/20260101/20260131",
	} {
		r := c.do("OPTIONS", path, "", "Origin", origin,
			"Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", "content-type")
		if r.status != http.StatusNoContent || len(r.body) > 0 {
			t.Errorf("OPTIONS %s: %d %s", path, r.status, r.body)
		}
		sameHeader(t, r, "Access-Control-Allow-Origin", origin)
		sameHeader(t, r, "Access-Control-Allow-Credentials", "true")
		sameHeader(t, r, "Access-Control-Allow-Headers", "content-type")
		sameHeader(t, r, "Access-Control-Allow-Methods", "GET")
		sameHeader(t, r, "Vary", "Origin")
		r = c.do("GET", path, "", "Origin", origin, "Content-Type", "application/json")
		if r.status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, r.status, r.body)
		}
		sameHeader(t, r, "Access-Control-Allow-Origin", origin)
		sameHeader(t, r, "Access-Control-Allow-Credentials", "true")
		sameHeader(t, r, "Content-Type", "application/json; charset=utf-8")
	}
}

// sameHeader expects a header to have these values and no other; none: to be absent.
func sameHeader(t *testing.T, r response, name string, values ...string) {
	t.Helper()
	if got := r.header.Values(name); !slices.Equal(got, values) {
		t.Errorf("%s: %q, want %q", name, got, values)
	}
}
