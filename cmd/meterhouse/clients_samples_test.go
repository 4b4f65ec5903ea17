package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The two APIs without a published client: their documentation's samples are the clients. What a
// sample does with fetch is done with Node's.

// fetchCall is one call of fetch.mjs, with the options of fetch.
type fetchCall struct {
	Path string    `json:"path"`
	Init fetchInit `json:"init"`
}

type fetchInit struct {
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
}

// fetched is what fetch got.
type fetched struct {
	OK      bool              `json:"ok"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (c clients) fetch(t *testing.T, calls ...fetchCall) []fetched {
	t.Helper()
	var answers []fetched
	c.runScript(t, "fetch.mjs", calls, &answers)
	if len(answers) != len(calls) {
		t.Fatalf("%d answers to %d calls", len(answers), len(calls))
	}
	return answers
}

// sampleCase is a call and the status, headers and body of its answer; a header that is to be
// absent is empty.
type sampleCase struct {
	name    string
	call    fetchCall
	status  int
	headers map[string]string
	body    string
}

func (c clients) runSamples(t *testing.T, cases []sampleCase) {
	t.Helper()
	calls := make([]fetchCall, len(cases))
	for i, s := range cases {
		calls[i] = s.call
	}
	for i, got := range c.fetch(t, calls...) {
		s := cases[i]
		if got.Status != s.status || got.OK != (s.status < 300) || got.Body != s.body {
			t.Errorf("%s: %d %s\nwant %d %s", s.name, got.Status, got.Body, s.status, s.body)
		}
		for name, want := range s.headers {
			if got.Headers[name] != want {
				t.Errorf("%s: %s is %q, want %q", s.name, name, got.Headers[name], want)
			}
		}
	}
}

const jsonType = "application/json"

// report is raia's sample call: node's fetch writes header names in lower case, as raia's own
// client does.
func report(secret, body string) fetchCall {
	headers := map[string]string{"agent-secret-key": secret, "Content-Type": jsonType}
	if secret == "" {
		delete(headers, "agent-secret-key")
	}
	return fetchCall{"/external/resource-usage",
		fetchInit{http.MethodPost, headers, body}}
}

func testRaiaSamples(t *testing.T, c clients) {
	const secret, sample = "clients-reporter", `{"type":"OPENAI_TOKENS","amount":4567}`
	created := map[string]string{"content-length": "0", "content-type": "", "location": ""}
	refusal := map[string]string{"content-type": jsonType}
	ok := func(name string, call fetchCall) sampleCase {
		return sampleCase{name, call, http.StatusCreated, created, ""}
	}
	forbidden := func(name, secret, body string) sampleCase {
		return sampleCase{name, report(secret, body), http.StatusForbidden, refusal,
			`{"status":403,"name":"FORBIDDEN_ERROR","message":"INVALID_CREDENTIALS","details":[]}`}
	}
	bad := func(name, body, details string) sampleCase {
		return sampleCase{name, report(secret, body), http.StatusBadRequest, refusal,
			`{"status":400,"name":"BAD_REQUEST","message":"INVALID_REQUEST","details":[` + details + `]}`}
	}
	const (
		badType   = `{"field":"type","message":"must be OPENAI_TOKENS or VAPI_SECONDS"}`
		badAmount = `{"field":"amount","message":"must be a number"}`
		badBody   = `{"field":"body","message":"must be one JSON object"}`
	)
	keyed := report(secret, `{"type":"OPENAI_TOKENS","amount":100000}`)
	keyed.Init.Headers["Idempotency-Key"] = "once"
	text := report(secret, sample)
	delete(text.Init.Headers, "Content-Type")
	elsewhere, get := report(secret, sample), report(secret, "")
	elsewhere.Path, get.Init.Method = "/external/agents/by-api-key", http.MethodGet
	c.runSamples(t, []sampleCase{
		ok("the sample", report(secret, sample)),
		ok("seconds", report(secret, `{"type":"VAPI_SECONDS","amount":12.5}`)),
		ok("a fraction", report(secret, `{"type":"OPENAI_TOKENS","amount":0.75}`)),
		ok("zero, and what is not ours", report(secret, `{"amount":0,"type":"OPENAI_TOKENS","x":[]}`)),
		ok("with a key", keyed),
		ok("with the same key", keyed),
		forbidden("no secret", "", sample),
		forbidden("an unknown secret", "clients-nobody", sample),
		forbidden("a user's token", adaAccess, sample),
		forbidden("an unknown secret and a bad body", "clients-nobody", `{`),
		bad("no JSON", `{"type":`, badBody),
		bad("an array", `[`+sample+`]`, badBody),
		bad("an unknown type", `{"type":"openai_tokens","amount":1}`, badType),
		bad("a number in a string", `{"type":"OPENAI_TOKENS","amount":"4567"}`, badAmount),
		bad("a negative amount", `{"type":"OPENAI_TOKENS","amount":-1}`,
			`{"field":"amount","message":"must not be negative"}`),
		bad("nothing", `{}`, `{"field":"type","message":"is required"},`+
			`{"field":"amount","message":"is required"}`),
		bad("both wrong", `{"type":1,"amount":null}`,
			`{"field":"type","message":"must be a string"},`+badAmount),
		{"fetch's own Content-Type", text, http.StatusUnsupportedMediaType, refusal,
			`{"status":415,"name":"UNSUPPORTED_MEDIA_TYPE","message":"UNSUPPORTED_MEDIA_TYPE",` +
				`"details":[{"field":"Content-Type","message":"must be application/json"}]}`},
		{"another method", get, http.StatusMethodNotAllowed, refusal,
			`{"status":405,"name":"METHOD_NOT_ALLOWED","message":"METHOD_NOT_ALLOWED","details":[]}`},
		{"another path", elsewhere, http.StatusNotFound, refusal,
			`{"status":404,"name":"ENTITY_NOT_FOUND_ERROR","message":"ENTITY_NOT_FOUND","details":[]}`},
	})
	c.awaitStored(t)
	r := c.do("GET", "/v2/gen-ai/agents/"+reporterAgent+"/usage", "",
		"Authorization", "Bearer "+benAccess)
	want := `"usage":{"measurements":[{"tokens":104567,"usage_type":"OPENAI_TOKENS"}],`
	if !strings.Contains(string(r.body), want) {
		t.Errorf("reported: %s, want %s", r.body, want)
	}
}

// track is a call of the tracker's samples.
func track(method, path, token, body string) fetchCall {
	init := fetchInit{method, map[string]string{}, body}
	if token != "" {
		init.Headers["Authorization"] = "Bearer " + token
	}
	if body != "" {
		init.Headers["Content-Type"] = jsonType
	}
	return fetchCall{path, init}
}

const (
	// The body of the documentation's sample.
	trackedCall = `{"api_name":"llm_query","endpoint":"/chat","units_used":346,"cost_usd":0.0043,` +
		`"api_key_used":"sk-live-abcdefgh"}`
	// The largest of both numbers, as the texts that Python's decimals become.
	trackedTexts = `{"api_name":"größe <b>","endpoint":"","units_used":"9223372036854775807",` +
		`"cost_usd":"999999.9999","api_key_used":"short","user_id":"` + ada + `"}`
)

// tracked is a record as the tracker shows it, in the order of its members.
type tracked struct {
	UsageID      string      `json:"usage_id"`
	UserID       string      `json:"user_id"`
	APIName      string      `json:"api_name"`
	Endpoint     string      `json:"endpoint"`
	UnitsUsed    json.Number `json:"units_used"`
	CostUSD      json.Number `json:"cost_usd"`
	APIKeyUsed   string      `json:"api_key_used"`
	StatusActive bool        `json:"status_active"`
	CreatedAt    string      `json:"created_at"`
}

// text is the record's JSON with a key in place of the one it was written with.
func (r tracked) text(key string) string {
	return fmt.Sprintf(`{"usage_id":"%s","user_id":"%s","api_name":"%s","endpoint":"%s",`+
		`"units_used":%s,"cost_usd":%s,"api_key_used":"%s","status_active":%t,"created_at":"%s"}`,
		r.UsageID, r.UserID, r.APIName, r.Endpoint, r.UnitsUsed, r.CostUSD, key, r.StatusActive,
		r.CreatedAt)
}

// writeTracked writes the samples' records, one of Ada's and one of Ben's.
func (c clients) writeTracked(t *testing.T) (ofAda, ofBen tracked) {
	t.Helper()
	answers := c.fetch(t,
		track("POST", "/usage", adaAccess, trackedCall),
		track("POST", "/api/v1/usage/", benAccess, trackedTexts))
	wants := []tracked{
		{"", ada, "llm_query", "/chat", "346", "0.0043", "sk-live-abcdefgh", true, ""},
		{"", ben, "größe <b>", "", "9223372036854775807", "999999.9999", "short", true, ""},
	}
	for i, got := range answers {
		if got.Status != http.StatusCreated || got.Headers["content-type"] != jsonType {
			t.Fatalf("record: %d %q %s", got.Status, got.Headers["content-type"], got.Body)
		}
		var record tracked
		decodeExactly(t, []byte(got.Body), &record)
		if _, err := uuid.Parse(record.UsageID); err != nil {
			t.Errorf("usage_id: %v", err)
		}
		at, err := time.Parse(time.RFC3339Nano, record.CreatedAt)
		if err != nil || at.Before(c.now) || at.After(time.Now()) ||
			!strings.HasSuffix(record.CreatedAt, "Z") {
			t.Errorf("created_at is %q, want the time of the call", record.CreatedAt)
		}
		wants[i].UsageID, wants[i].CreatedAt = record.UsageID, record.CreatedAt
		if want := wants[i].text(wants[i].APIKeyUsed); got.Body != want {
			t.Errorf("record: %s, want %s", got.Body, want)
		}
	}
	return wants[0], wants[1]
}

func testTrackerSamples(t *testing.T, c clients) {
	ofAda, ofBen := c.writeTracked(t)
	// A node shows what it acknowledged to whoever asks by id, at once.
	byID := "/usage/" + ofAda.UsageID
	adas, bens := ofAda.text("sk-…efgh"), ofBen.text("…")
	asJSON := map[string]string{"content-type": jsonType}
	ok := func(name, path, token, body string) sampleCase {
		return sampleCase{name, track("GET", path, token, ""), http.StatusOK, asJSON, body}
	}
	c.runSamples(t, []sampleCase{
		ok("by id", byID, adaAccess, adas),
		ok("an admin, by id, under the other base", "/api/v1/usage/"+ofBen.UsageID+"/", adaAccess, bens),
	})
	c.awaitStored(t)
	c.runSamples(t, []sampleCase{
		ok("all, by an admin", "/usage?skip=0&limit=100", adaAccess, "["+adas+","+bens+"]"),
		ok("all, with a slash and no redirect", "/api/v1/usage/", adaAccess, "["+adas+","+bens+"]"),
		ok("the second page", "/usage?skip=1&limit=1", adaAccess, "["+bens+"]"),
		ok("beyond the last page", "/usage?skip=2", adaAccess, "[]"),
		ok("a member's own", "/usage", benAccess, "["+bens+"]"),
		ok("a user's, by an admin", "/usage/user/"+ben+"?skip=0&limit=100", adaAccess, "["+bens+"]"),
		ok("a user's own", "/usage/user/"+ben, benAccess, "["+bens+"]"),
		ok("nobody's", "/usage/user/"+nobody, adaAccess, "[]"),
		ok("another organization's user", "/usage/user/"+ada, gilAccess, "[]"),
	})
	c.runSamples(t, trackerRefusals(byID))
	c.sameTrackerPreflight(t)
}

// trackerRefusals are calls that are answered with an error; byID is the path of Ada's record.
func trackerRefusals(byID string) []sampleCase {
	detail := func(text string) string { return `{"detail":"` + text + `"}` }
	refused := func(
		name string, call fetchCall, status int, headers map[string]string, body string,
	) sampleCase {
		headers["content-type"] = jsonType
		return sampleCase{name, call, status, headers, body}
	}
	challenge := func() map[string]string { return map[string]string{"www-authenticate": "Bearer"} }
	none := func() map[string]string { return map[string]string{"www-authenticate": ""} }
	const reason = "invalid character: expected an optional prefix of `urn:uuid:` followed by " +
		"[0-9a-fA-F-], found `u` at 1"
	notUUID := func(name, input string) string {
		return `{"detail":[{"type":"uuid_parsing","loc":["path","` + name + `"],` +
			`"msg":"Input should be a valid UUID, ` + reason + `","input":"` + input + `",` +
			`"ctx":{"error":"` + reason + `"}}]}`
	}
	return []sampleCase{
		refused("no token", track("GET", "/usage", "", ""), 401, challenge(),
			detail("Not authenticated")),
		refused("no token, a write", track("POST", "/usage", "", trackedCall), 401, challenge(),
			detail("Not authenticated")),
		refused("a bad token", track("POST", "/usage", "dop_v1_nobody", trackedCall), 401, challenge(),
			detail("invalid or expired token")),
		refused("another user's list", track("GET", "/usage/user/"+ada, benAccess, ""), 403, none(),
			detail("You do not have the required role to access this resource.")),
		refused("another user's record", track("GET", byID, benAccess, ""), 404, none(),
			detail("Usage not found")),
		refused("another organization's record", track("GET", byID, gilAccess, ""), 404, none(),
			detail("Usage not found")),
		refused("an unknown record", track("GET", "/usage/"+nobody, adaAccess, ""), 404, none(),
			detail("Usage not found")),
		refused("another path", track("GET", "/usage/a/b/c", adaAccess, ""), 404, none(),
			detail("Not Found")),
		refused("the sample's user id", track("GET", "/usage/user/uuid123", adaAccess, ""), 422, none(),
			notUUID("user_id", "uuid123")),
		refused("the sample's usage id", track("GET", "/usage/usage-uuid", adaAccess, ""), 422, none(),
			notUUID("usage_id", "usage-uuid")),
		refused("a bad page", track("GET", "/usage?skip=a&limit=-1", adaAccess, ""), 422, none(),
			`{"detail":[{"type":"int_parsing","loc":["query","skip"],"msg":"Input should be a valid `+
				`integer, unable to parse string as an integer","input":"a"},`+
				`{"type":"greater_than_equal","loc":["query","limit"],"msg":"Input should be greater `+
				`than or equal to 0","input":"-1","ctx":{"ge":0}}]}`),
		refused("no JSON", track("POST", "/usage", adaAccess, `{"api_name":}`), 422, none(),
			`{"detail":[{"type":"json_invalid","loc":["body",12],"msg":"JSON decode error",`+
				`"input":{},"ctx":{"error":"Expecting value"}}]}`),
		refused("a bad body", track("POST", "/usage", adaAccess,
			`{"endpoint":1,"units_used":-1,"cost_usd":0.00001,"api_key_used":""}`), 422, none(),
			badTrackedBody),
	}
}

// badTrackedBody tells everything that is wrong with a body, in the order of the fields.
const badTrackedBody = `{"detail":[` +
	`{"type":"missing","loc":["body","api_name"],"msg":"Field required",` +
	`"input":{"endpoint":1,"units_used":-1,"cost_usd":0.00001,"api_key_used":""}},` +
	`{"type":"string_type","loc":["body","endpoint"],"msg":"Input should be a valid string",` +
	`"input":1},` +
	`{"type":"greater_than_equal","loc":["body","units_used"],"msg":"Input should be greater than ` +
	`or equal to 0","input":-1,"ctx":{"ge":0}},` +
	`{"type":"decimal_max_places","loc":["body","cost_usd"],"msg":"Decimal input should have no ` +
	`more than 4 decimal places","input":0.00001,"ctx":{"decimal_places":4}}]}`

// The documentation's fetch sample runs in a page, whose browser asks before it sends a token.
func (c clients) sameTrackerPreflight(t *testing.T) {
	t.Helper()
	const origin, headers = "https://app.example", "authorization,content-type"
	r := c.do("OPTIONS", "/usage", "", "Origin", origin,
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers)
	if r.status != http.StatusNoContent || len(r.body) > 0 {
		t.Errorf("preflight: %d %s", r.status, r.body)
	}
	sameHeader(t, r, "Access-Control-Allow-Origin", origin)
	sameHeader(t, r, "Access-Control-Allow-Credentials", "true")
	sameHeader(t, r, "Access-Control-Allow-Headers", headers)
	if methods := r.header.Get("Access-Control-Allow-Methods"); !strings.Contains(methods, "POST") {
		t.Errorf("Access-Control-Allow-Methods: %q, without POST", methods)
	}
	for _, authorization := range []string{"Bearer " + benAccess, ""} {
		r = c.do("GET", "/usage", "", "Origin", origin, "Authorization", authorization)
		sameHeader(t, r, "Access-Control-Allow-Origin", origin)
		sameHeader(t, r, "Access-Control-Allow-Credentials", "true")
	}
}
