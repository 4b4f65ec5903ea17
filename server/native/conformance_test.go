package native_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// The contract of POST /v1/events sentence by sentence, and what proves each. A test without a
// package is TestConformance here; "suite" is TestSuite with the named part of dialecttest.
//
//	times RFC 3339, ids UUIDs             §9 time: …, §9 agent_id: no UUID; TestDecodeTime
//	decimals: numbers or texts in         §9 quantity: …
//	decimals: texts out                   §9 the documented event
//	unknown members are rejected by name  §9 unknown member
//	Bearer, Agent-Secret-Key              §9 credential: …; suite Credentials
//	RFC 9457                              every refusal here; suite (Envelope)
//	the documented event                  §9 the documented event
//	only usage is required                §9 only usage
//	1 to 16 usage types, their names      §9 usage: …, §9 usage type: …
//	quantity: sign, decimals, digits      §9 quantity: …; TestDecodeQuantity
//	id: 1 to 200, unique in the organization    §9 id: …
//	Idempotency-Key                       §9 Idempotency-Key: …
//	time: default, 5 minutes, 400 days    §9 time: …
//	agent_id: implied, the organization's §9 agent_id: …; suite Access
//	user_id: the caller, an admin's word  §9 user_id: …; suite Access
//	chargeable, cost_usd                  §9 chargeable …, §9 cost_usd …
//	provider_key is obfuscated            §9 provider_key …; suite Secrets
//	null                                  §9 null is no value
//	an event, an array, NDJSON            §9 body: …
//	CloudEvents                           §9 CloudEvents: …
//	10,000 events, 8 MiB, gzip, zstd      §9 limits …; suite Sizes, Encodings
//	201: counts, rejected                 §9 201: …
//	what is accepted is durable           cmd/meterhouse, the crash tests
//	422, atomic                           §9 422: …
//	400, 401, 413, 415                    §9 400 … to §9 415 …
//	403                                   suite Access (PATCH); server/access: of JWTs
//	429 with Retry-After                  §9 429; suite Overload
//	wait=stored                           §9 wait=stored …
func TestConformance(t *testing.T) {
	h := dialecttest.New(t)
	h.Conform(t, accepted(h))
	h.Conform(t, refused(h))
	h.Conform(t, unreadable(h))
	t.Run("§9 the documented event", func(t *testing.T) { documented(t, h) })
	t.Run("§9 defaults", func(t *testing.T) { defaults(t, h) })
	t.Run("§9 keys", func(t *testing.T) { keys(t, h) })
	t.Run("§9 limits", func(t *testing.T) { limits(t, h) })
	t.Run("§9 429", func(t *testing.T) { tooMany(t, h) })
	t.Run("§9 wait=stored", func(t *testing.T) { stored(t, h) })
}

const jsonType, problemType = "application/json", "application/problem+json"

// counts is the answer to events that were taken.
func counts(accepted, duplicates int) string {
	return fmt.Sprintf(`{"accepted":%d,"duplicates":%d,"rejected":[]}`, accepted, duplicates)
}

func problem(status int, title, rest string) string {
	return fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d%s}`, title, status, rest)
}

// sent is a request as an admin of acme's, with headers more.
func sent(h *dialecttest.Harness, body string, header ...string) dialecttest.Request {
	return post(h.Acme.Admin.Secret(schema.AccessToken), body).With(header...)
}

func at(query string, r dialecttest.Request) dialecttest.Request {
	r.Path += query
	return r
}

func row(name string, r dialecttest.Request, status int, body string) dialecttest.Row {
	mediaType := jsonType
	if status >= 400 {
		mediaType = problemType
	}
	header := []string{"Content-Type", mediaType}
	if status == 401 {
		header = append(header, "Www-Authenticate", "Bearer")
	}
	return dialecttest.Row{Name: name, Request: r, Status: status, Header: header, Body: body}
}

func types(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"T%d":1`, i))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339Nano) }

const day = 24 * time.Hour

// accepted is what is taken.
func accepted(h *dialecttest.Harness) []dialecttest.Row {
	o := h.Acme
	var rows []dialecttest.Row
	f := func(name, body string) {
		rows = append(rows, row("§9 "+name, sent(h, body), 201, counts(1, 0)))
	}
	usage := func(name, usage string) { f(name, `{"usage":`+usage+`}`) }
	usage("only usage", `{"INPUT":1}`)
	usage("usage: 16 types", types(16))
	usage("usage type: one letter", `{"A":1}`)
	usage("usage type: 64 characters", `{"A`+strings.Repeat("Z9_", 21)+`":1}`)
	usage("quantity: zero", `{"A":0}`)
	usage("quantity: 6 decimals", `{"A":0.000001}`)
	usage("quantity: 12 integer digits", `{"A":999999999999.999999}`)
	usage("quantity: a text", `{"A":"999999999999.999999"}`)
	usage("quantity: an exponent", `{"A":1.5e3}`)
	event := func(name, member string) { f(name, `{"usage":{"A":1},`+member+`}`) }
	event("null is no value", `"id":null,"time":null,"agent_id":null,"user_id":null,"service":null,`+
		`"channel":null,"api_name":null,"endpoint":null,"provider":null,"provider_endpoint":null,`+
		`"provider_key":null,"model":null,"chargeable":null,"purpose":null,"cost_usd":null`)
	event("time: 4 minutes ahead", `"time":"`+ago(-4*time.Minute)+`"`)
	event("time: 399 days back", `"time":"`+ago(399*day)+`"`)
	event("time: with an offset", `"time":"`+
		time.Now().In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339)+`"`)
	event("text: 256 characters", `"model":"`+strings.Repeat("é", 256)+`"`)
	event("service: any text", `"service":"not in the catalog"`)
	event("agent_id: an agent of the organization", `"agent_id":"`+o.AdminsAgent.ID.String()+`"`)
	event("user_id: an admin names another", `"user_id":"`+o.Member.ID.String()+`"`)
	event("chargeable: false", `"chargeable":false`)
	event("cost_usd: zero", `"cost_usd":0`)
	event("cost_usd: 12 decimals", `"cost_usd":"0.000000000001"`)

	for _, s := range []dialecttest.Secret{
		o.Member.Secret(schema.AccessToken), o.Member.Secret(schema.AppPassword),
		o.MembersAgent.Secret(),
	} {
		rows = append(rows, row(fmt.Sprintf("§9 credential: kind %d", s.Kind),
			post(s, `{"usage":{"A":1}}`), 201, counts(1, 0)))
	}
	const one = `{"usage":{"A":1}}`
	body := func(name, mediaType, body string, n int) {
		rows = append(rows, row("§9 "+name, sent(h, body, "Content-Type", mediaType), 201,
			counts(n, 0)))
	}
	body("body: one event", jsonType, one, 1)
	body("body: the charset of JSON", "application/json; charset=utf-8", one, 1)
	body("body: an array", jsonType, "["+one+","+one+"]", 2)
	body("body: NDJSON", "application/x-ndjson", one+"\n"+one+"\n\n"+one+"\n", 3)
	body("body: JSON lines", "application/jsonl", one+"\n"+one, 2)
	body("CloudEvents: one", "application/cloudevents+json", cloudEvent("1", one), 1)
	body("CloudEvents: a batch", "application/cloudevents-batch+json; charset=utf-8",
		"["+cloudEvent("2", one)+","+cloudEvent("3", one)+"]", 2)
	rows = append(rows,
		row("§9 CloudEvents: in headers", sent(h, one, "Content-Type", jsonType,
			"ce-specversion", "1.0", "ce-type", "meterhouse.usage", "ce-source", "/conformance",
			"ce-id", "4"), 201, counts(1, 0)),
		row("§9 CloudEvents: id and source are the key", sent(h, "["+strings.Join([]string{
			cloudEvent("4", one), cloudEvent("5", one),
			strings.Replace(cloudEvent("4", one), "/conformance", "/other", 1),
		}, ",")+"]", "Content-Type", "application/cloudevents-batch+json"), 201, counts(2, 1)),
		row("§9 limits: gzip", sent(h, gzipped(one), "Content-Encoding", "gzip"), 201, counts(1, 0)),
		row("§9 limits: zstd", sent(h, zstds(one), "Content-Encoding", "zstd"), 201, counts(1, 0)),
		row("§9 201: some are rejected", sent(h, `[`+one+`,{"usage":{}},{"usage":{"INPUT":-1}}]`), 201,
			`{"accepted":1,"duplicates":0,"rejected":[{"index":1,"field":"usage","message":`+
				`"must have at least one usage type"},{"index":2,"field":"usage.INPUT",`+
				`"message":"must not be negative"}]}`),
		row("§9 201: results", at("?results=true", sent(h, `[`+one+`,{"usage":{}}]`)), 201,
			`{"accepted":1,"duplicates":0,"rejected":[{"index":1,"field":"usage","message":`+
				`"must have at least one usage type"}],"results":[{"index":0,"id":"«uuid»",`+
				`"status":"accepted"},{"index":1,"status":"rejected","field":"usage","message":`+
				`"must have at least one usage type"}]}`),
		row("§9 422: atomic, nothing to reject", at("?atomic=true", sent(h, "["+one+","+one+"]")), 201,
			counts(2, 0)),
	)
	return rows
}

func cloudEvent(id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"meterhouse.usage","source":"/conformance",`+
		`"id":%q,"time":%q,"subject":"s","traceparent":"00","data":%s}`, id, ago(time.Minute), data)
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.String()
}

func zstds(text string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// refused are events that are readable and not taken.
func refused(h *dialecttest.Harness) []dialecttest.Row {
	o, other := h.Acme, h.Globex
	var rows []dialecttest.Row
	add := func(name string, r dialecttest.Request, field, message string) {
		rows = append(rows, row("§9 "+name, r, 422, problem(422, "Unprocessable Entity", fmt.Sprintf(
			`,"detail":"every event was rejected","errors":[{"index":0,"field":%q,"message":%q}]`,
			field, message))))
	}
	f := func(name, body, field, message string) { add(name, sent(h, body), field, message) }
	usage := func(name, usage, field, message string) {
		f(name, `{"usage":`+usage+`}`, field, message)
	}
	const notType = "usage types must be upper-case letters, digits and _, at most 64"
	f("usage: is required", `{}`, "usage", "is required")
	usage("usage: no type", `{}`, "usage", "must have at least one usage type")
	usage("usage: 17 types", types(17), "usage", "must have at most 16 usage types")
	usage("usage: null", `null`, "usage", "is required")
	usage("usage type: 65 characters", `{"A`+strings.Repeat("B", 64)+`":1}`, "usage", notType)
	usage("usage type: lower case", `{"input":1}`, "usage", notType)
	usage("usage type: a digit first", `{"1A":1}`, "usage", notType)
	usage("usage type: a hyphen", `{"A-B":1}`, "usage", notType)
	usage("usage type: empty", `{"":1}`, "usage", notType)
	usage("usage type: twice", `{"A":1,"A":1}`, "usage.A", "is given twice")
	usage("quantity: negative", `{"A":-0.000001}`, "usage.A", "must not be negative")
	usage("quantity: 7 decimals", `{"A":0.0000001}`, "usage.A",
		"has too many decimals (at most 12 integer digits and 6 decimals)")
	usage("quantity: 13 integer digits", `{"A":1000000000000}`, "usage.A",
		"must have at most 12 integer digits")
	usage("quantity: null", `{"A":null}`, "usage.A", "must be a number or a numeric string")
	event := func(name, member, field, message string) {
		f(name, `{"usage":{"A":1},`+member+`}`, field, message)
	}
	event("unknown member", `"modle":"x"`, "modle", "is not a member of an event")
	event("id: empty", `"id":""`, "id", "must have 1 to 200 characters")
	event("id: 201 characters", `"id":"`+strings.Repeat("é", 201)+`"`, "id",
		"must have 1 to 200 characters")
	event("time: 6 minutes ahead", `"time":"`+ago(-6*time.Minute)+`"`, "time",
		"must be at most 5 minutes ahead")
	event("time: 401 days back", `"time":"`+ago(401*day)+`"`, "time",
		"must be at most 400 days back")
	event("time: a date", `"time":"2026-11-21"`, "time",
		"must be an RFC 3339 time with an offset or Z")
	event("text: 257 characters", `"model":"`+strings.Repeat("é", 257)+`"`, "model",
		"must have at most 256 characters")
	event("text: a control character", `"purpose":"a\u0085b"`, "purpose",
		"must not contain control characters")
	event("agent_id: another organization's", `"agent_id":"`+other.MembersAgent.ID.String()+`"`,
		"agent_id", "unknown agent")
	event("agent_id: no UUID", `"agent_id":"7"`, "agent_id", "must be a UUID")
	event("user_id: another organization's", `"user_id":"`+other.Member.ID.String()+`"`,
		"user_id", "unknown user")
	event("chargeable: a text", `"chargeable":"yes"`, "chargeable", "must be true or false")
	event("cost_usd: negative", `"cost_usd":-1`, "cost_usd", "must not be negative")
	add("user_id: a member names another", post(o.Member.Secret(schema.AccessToken),
		`{"usage":{"A":1},"user_id":"`+o.Admin.ID.String()+`"}`), "user_id",
		"only an admin names another user")
	add("agent_id: an agent's secret names another", post(o.MembersAgent.Secret(),
		`{"usage":{"A":1},"agent_id":"`+o.AdminsAgent.ID.String()+`"}`), "agent_id",
		"is not the agent of the Agent-Secret-Key")
	const cloud = "application/cloudevents+json"
	add("CloudEvents: the type", sent(h, strings.Replace(cloudEvent("9", `{"usage":{"A":1}}`),
		"meterhouse.usage", "other", 1), "Content-Type", cloud), "type", "must be meterhouse.usage")
	add("CloudEvents: rejected by the field in data", sent(h, cloudEvent("9", `{"usage":{"A":-1}}`),
		"Content-Type", cloud), "data.usage.A", "must not be negative")
	rows = append(rows,
		row("§9 422: atomic", at("?atomic=true", sent(h, `[{"usage":{"A":1}},{"usage":{"A":-1}}]`)), 422,
			problem(422, "Unprocessable Entity", `,"detail":"nothing was accepted: the request is `+
				`atomic and has rejected events","errors":[{"index":1,"field":"usage.A",`+
				`"message":"must not be negative"}]`)),
		row("§9 422: every event was rejected", sent(h, `[{"usage":{"A":-1}},7]`), 422,
			problem(422, "Unprocessable Entity", `,"detail":"every event was rejected","errors":[`+
				`{"index":0,"field":"usage.A","message":"must not be negative"},`+
				`{"index":1,"field":"","message":"must be a JSON object"}]`)))
	return rows
}

// unreadable are requests of which nothing is read.
func unreadable(h *dialecttest.Harness) []dialecttest.Row {
	const one = `{"usage":{"A":1}}`
	bad := func(name string, r dialecttest.Request, field, message string) dialecttest.Row {
		rest := fmt.Sprintf(`,"detail":%q`, message)
		if field != "" {
			rest = fmt.Sprintf(`,"detail":%q,"errors":[{"field":%q,"message":%q}]`,
				field+": "+message, field, message)
		}
		return row("§9 400: "+name, r, 400, problem(400, "Bad Request", rest))
	}
	unauthenticated := func(name string, s dialecttest.Secret, detail string) dialecttest.Row {
		return row("§9 401: "+name, post(s, one), 401,
			problem(401, "Unauthorized", `,"detail":"`+detail+`"`))
	}
	return []dialecttest.Row{
		bad("no JSON", sent(h, one[1:]), "",
			"the body is not JSON: an event or an array of events is expected at byte 1"),
		bad("a line that is none", sent(h, one+"\n{", "Content-Type", "application/x-ndjson"), "",
			"line 2 is not JSON: a member name is expected at its byte 2"),
		bad("no events", sent(h, "[]"), "", "the body has no events"),
		bad("no body", sent(h, ""), "", "the body has no events"),
		bad("no UTF-8", sent(h, "{\"\xff\":1}"), "", "the body must be valid UTF-8"),
		bad("no gzip", sent(h, one, "Content-Encoding", "gzip"), "", "the body is not valid gzip"),
		bad("no zstd", sent(h, one, "Content-Encoding", "zstd"), "", "the body is not valid zstd"),
		bad("a parameter that is none", at("?atomc=true", sent(h, one)), "atomc", "is not a parameter"),
		bad("atomic", at("?atomic=1", sent(h, one)), "atomic", "must be true or absent"),
		bad("wait", at("?wait=true", sent(h, one)), "wait", "must be stored or absent"),
		bad("Idempotency-Key for two", sent(h, "["+one+","+one+"]", "Idempotency-Key", "k"),
			"Idempotency-Key", "is for a request of one event: give each event of a batch its id"),
		bad("Idempotency-Key too long", sent(h, one, "Idempotency-Key", strings.Repeat("k", 201)),
			"Idempotency-Key", "must have 1 to 200 characters"),
		unauthenticated("nobody", dialecttest.Secret{},
			"send Authorization: Bearer or Agent-Secret-Key"),
		unauthenticated("unknown", dialecttest.Secret{Kind: schema.AccessToken, Text: "x"},
			"unknown or revoked credential"),
		unauthenticated("another kind", h.Acme.Admin.Secret(schema.LoginToken),
			"unknown or revoked credential"),
		row("§9 415: a media type", sent(h, one, "Content-Type", "text/plain"), 415,
			problem(415, "Unsupported Media Type", mustBe("Content-Type", "application/json, "+
				"application/x-ndjson, application/cloudevents+json or "+
				"application/cloudevents-batch+json"))),
		row("§9 415: an encoding", sent(h, one, "Content-Encoding", "br"), 415, problem(415,
			"Unsupported Media Type", mustBe("Content-Encoding", "gzip, zstd or absent"))),
	}
}

func mustBe(field, what string) string {
	return fmt.Sprintf(`,"detail":"%s: must be %s","errors":[{"field":%q,"message":"must be %s"}]`,
		field, what, field, what)
}

// written posts an event with ?results and returns the path of it.
func written(t *testing.T, h *dialecttest.Harness, r dialecttest.Request) string {
	t.Helper()
	got := h.Do(t, at("?results=true", r))
	_, rest, ok := strings.Cut(string(got.Body), `"id":"`)
	if got.Status != 201 || !ok {
		t.Fatal(got)
	}
	return "/v1/events/" + rest[:36]
}

// read is what the ledger has of a path's event, members of its own aside.
func read(h *dialecttest.Harness, path, body string) dialecttest.Row {
	r := sent(h, "")
	r.Method, r.Path = "GET", path
	got := row("", r, 200, body)
	got.Header = append(got.Header, "Etag", `"0"`)
	return got
}

// documented sends the contract's own event, and looks at all that is kept of it.
func documented(t *testing.T, h *dialecttest.Harness) {
	o := h.Acme
	happened := time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond).Format(time.RFC3339Nano)
	key := "sk-live-" + o.Mark + "-abcd"
	path := written(t, h, sent(h, fmt.Sprintf(`{"id": "req-8841", "time": %q, "agent_id": %q,
 "user_id": %q,
 "service": "transcription", "channel": "voice", "api_name": "llm_query", "endpoint": "/chat",
 "provider": "OpenAI", "provider_endpoint": "https://api.openai.com/v1", "provider_key": %q,
 "model": "gpt-4o-mini", "chargeable": true, "purpose": "QA",
 "usage": {"INPUT": 1200, "CACHED_INPUT": 800, "OUTPUT": "350"},
 "cost_usd": "0.0043"}`, happened, o.MembersAgent.ID, o.Member.ID, key)))
	if want := "/v1/events/" + schema.EventID(o.ID, "req-8841").String(); path != want {
		t.Errorf("%s, want %s", path, want)
	}
	row := read(h, path, fmt.Sprintf(`{"id":%q,"revision":0,"state":"current","time":%q,`+
		`"agent_id":%q,"user_id":%q,"service":"transcription","channel":"voice",`+
		`"api_name":"llm_query","endpoint":"/chat","provider":"OpenAI",`+
		`"provider_endpoint":"https://api.openai.com/v1","provider_key":"sk-…abcd",`+
		`"model":"gpt-4o-mini","chargeable":true,"purpose":"QA",`+
		`"usage":{"CACHED_INPUT":"800","INPUT":"1200","OUTPUT":"350"},"cost_usd":"0.0043",`+
		`"pricing":{"CACHED_INPUT":{"state":"given","provider_cost_usd":"0.0043",`+
		`"billed_cost_usd":"0.0043"},"INPUT":{"state":"given","provider_cost_usd":"0",`+
		`"billed_cost_usd":"0"},"OUTPUT":{"state":"given","provider_cost_usd":"0",`+
		`"billed_cost_usd":"0"}},"recorded_at":"«instant»"}`,
		path[len("/v1/events/"):], happened, o.MembersAgent.ID, o.Member.ID))
	row.Check(t, h.Do(t, row.Request))
	row.Request.Path = "/v1/events/req-8841"
	row.Check(t, h.Do(t, row.Request))
	if strings.Contains(h.Log.String(), key) {
		t.Error("§9 provider_key: the log has it")
	}
}

// defaults sends next to nothing, and looks at what stands in its place.
func defaults(t *testing.T, h *dialecttest.Harness) {
	o := h.Acme
	from := schema.Rate{
		Model: "priced", UsageType: "INPUT", Provider: "P", From: time.Now().Add(-day).UTC(),
	}
	from.ProviderUSDPerMillion, _ = schema.ParseUSD("0.15")
	from.BilledUSDPerMillion, _ = schema.ParseUSD("0.195")
	from.ID = schema.RateID(from)
	h.Change(t, schema.Catalog{Rates: []schema.Rate{from}}, schema.Catalog{})
	f := func(name string, r dialecttest.Request, members string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			began := time.Now().Truncate(time.Microsecond)
			path := written(t, h, r)
			row := read(h, path, fmt.Sprintf(`{"id":%q,"revision":0,"state":"current",`+
				`"time":"«instant»","recorded_at":"«instant»",%s}`, path[len("/v1/events/"):], members))
			got := h.Do(t, row.Request)
			row.Check(t, got)
			_, rest, _ := strings.Cut(string(got.Body), `"time":"`)
			text, _, _ := strings.Cut(rest, `"`)
			if happened, err := time.Parse(time.RFC3339Nano, text); err != nil ||
				happened.Before(began) || happened.After(time.Now()) {
				t.Errorf("time is %s, and not receipt", text)
			}
		})
	}
	const unpriced = `"usage":{"A":"1.5"},"pricing":{"A":{"state":"unpriced"}}`
	user := func(id uuid.UUID) string { return `"user_id":"` + id.String() + `",` }
	f("§9 user_id: the caller", post(o.Member.Secret(schema.AppPassword), `{"usage":{"A":1.5}}`),
		user(o.Member.ID)+`"chargeable":true,`+unpriced)
	f("§9 agent_id: implied by its secret", post(o.MembersAgent.Secret(), `{"usage":{"A":"1.50"}}`),
		user(o.Member.ID)+`"agent_id":"`+o.MembersAgent.ID.String()+`","chargeable":true,`+unpriced)
	f("§9 cost: a rate's", sent(h, `{"model":"priced","usage":{"INPUT":1000000,"A":1.5}}`),
		user(o.Admin.ID)+`"chargeable":true,"model":"priced","usage":{"A":"1.5","INPUT":"1000000"},`+
			`"pricing":{"A":{"state":"unpriced"},"INPUT":{"state":"rated","rate_id":"`+
			from.ID.String()+`","provider_cost_usd":"0.15","billed_cost_usd":"0.195"}}`)
	f("§9 cost_usd: instead of a rate", sent(h,
		`{"model":"priced","usage":{"INPUT":1000000},"cost_usd":2}`),
		user(o.Admin.ID)+`"chargeable":true,"model":"priced","usage":{"INPUT":"1000000"},`+
			`"cost_usd":"2","pricing":{"INPUT":{"state":"given","provider_cost_usd":"2",`+
			`"billed_cost_usd":"2"}}`)
	f("§9 chargeable: false is billed nothing", sent(h,
		`{"model":"priced","usage":{"INPUT":1000000},"chargeable":false}`),
		user(o.Admin.ID)+`"chargeable":false,"model":"priced","usage":{"INPUT":"1000000"},`+
			`"pricing":{"INPUT":{"state":"rated","rate_id":"`+from.ID.String()+
			`","provider_cost_usd":"0.15","billed_cost_usd":"0"}}`)
	f("§9 provider_key: a short one", sent(h, `{"usage":{"A":1.5},"provider_key":"sk-short"}`),
		user(o.Admin.ID)+`"provider_key":"…","chargeable":true,`+unpriced)
}

// keys sends events again.
func keys(t *testing.T, h *dialecttest.Harness) {
	one := func(id string) string { return `{"usage":{"A":1},"id":"` + id + `"}` }
	long := strings.Repeat("é", 200)
	other := post(h.Globex.Admin.Secret(schema.AccessToken), one("k1"))
	h.Conform(t, []dialecttest.Row{
		row("§9 id: new", sent(h, one("k1")), 201, counts(1, 0)),
		row("§9 id: known", sent(h, one("k1")), 201, counts(0, 1)),
		row("§9 id: another organization's is another's", other, 201, counts(1, 0)),
		row("§9 id: one character", sent(h, one("x")), 201, counts(1, 0)),
		row("§9 id: 200 characters", sent(h, one(long)), 201, counts(1, 0)),
		row("§9 id: twice in a request", sent(h, "["+one("k2")+","+one("k2")+"]"), 201, counts(1, 1)),
		row("§9 Idempotency-Key: as an id", sent(h, `{"usage":{"A":1}}`, "Idempotency-Key", "k1"), 201,
			counts(0, 1)),
		row("§9 Idempotency-Key: and the same id", sent(h, one("k3"), "Idempotency-Key", "k3"), 201,
			counts(1, 0)),
		row("§9 Idempotency-Key: and another id", sent(h, one("k3"), "Idempotency-Key", "k4"), 422,
			problem(422, "Unprocessable Entity", `,"detail":"every event was rejected","errors":[`+
				`{"index":0,"field":"id","message":"differs from the Idempotency-Key header"}]`)),
		row("§9 201: results of duplicates", at("?results=true", sent(h,
			"["+one("k1")+`,7,`+one("k5")+`,`+one("k5")+`]`)), 201, fmt.Sprintf(`{"accepted":1,`+
			`"duplicates":2,"rejected":[{"index":1,"field":"","message":"must be a JSON object"}],`+
			`"results":[{"index":0,"id":%q,"status":"duplicate"},{"index":1,"status":"rejected",`+
			`"message":"must be a JSON object"},{"index":2,"id":%q,"status":"accepted"},`+
			`{"index":3,"id":%q,"status":"duplicate"}]}`, schema.EventID(h.Acme.ID, "k1"),
			schema.EventID(h.Acme.ID, "k5"), schema.EventID(h.Acme.ID, "k5"))),
	})
}

// limits sends as much as there may be, and one more.
func limits(t *testing.T, h *dialecttest.Harness) {
	const one, bytesMax = `{"usage":{"A":1}}`, 8 << 20
	lines := func(n int) dialecttest.Request {
		return sent(h, strings.Repeat(one+"\n", n), "Content-Type", "application/x-ndjson")
	}
	padded := func(n int) string { return one + strings.Repeat(" ", n-len(one)) }
	tooLarge := func(detail string) string {
		return problem(413, "Request Entity Too Large", `,"detail":"`+detail+`"`)
	}
	const events = "a request must have at most 10000 events"
	const bodies = "the body must have at most 8388608 bytes after decoding"
	h.Conform(t, []dialecttest.Row{
		row("§9 10,000 events", lines(10_000), 201, counts(10_000, 0)),
		row("§9 10,001 events", lines(10_001), 413, tooLarge(events)),
		row("§9 10,001 in an array", sent(h, "["+strings.Repeat("0,", 10_000)+"0]"), 413,
			tooLarge(events)),
		row("§9 8 MiB", sent(h, padded(bytesMax)), 201, counts(1, 0)),
		row("§9 8 MiB and a byte", sent(h, padded(bytesMax+1)), 413, tooLarge(bodies)),
		row("§9 8 MiB of gzip", sent(h, gzipped(padded(bytesMax)), "Content-Encoding", "gzip"), 201,
			counts(1, 0)),
		row("§9 more of gzip", sent(h, gzipped(padded(bytesMax+1)), "Content-Encoding", "gzip"), 413,
			tooLarge(bodies)),
		row("§9 8 MiB of zstd", sent(h, zstds(padded(bytesMax)), "Content-Encoding", "zstd"), 201,
			counts(1, 0)),
		row("§9 more of zstd", sent(h, zstds(padded(bytesMax+1)), "Content-Encoding", "zstd"), 413,
			tooLarge(bodies)),
	})
}

// tooMany writes with a credential that may do so once a minute.
func tooMany(t *testing.T, h *dialecttest.Harness) {
	r := post(dialecttest.Secret{Kind: schema.AccessToken, Text: h.Limited(t, schema.Credential{
		Kind: schema.AccessToken, Organization: h.Acme.ID, User: h.Acme.Member.ID,
	}, 1)}, `{"usage":{"A":1}}`)
	row("", r, 201, counts(1, 0)).Check(t, h.Do(t, r))
	refused := row("", r, 429, problem(429, "Too Many Requests", `,"detail":"the credential has `+
		`used up its requests of this minute; try again later"`))
	refused.Header = append(refused.Header, "Retry-After", dialecttest.AnyInteger)
	refused.Check(t, h.Do(t, r))
}

// stored looks at the ledger as soon as there is an answer.
func stored(t *testing.T, h *dialecttest.Harness) {
	rows := func() string {
		return h.Database.Strings(`SELECT toString(count()) FROM usage_events
			WHERE purpose = 'waited for'`)[0]
	}
	event := func(id string) string {
		return `{"usage":{"A":1},"purpose":"waited for","id":"` + id + `"}`
	}
	r := at("?wait=stored", sent(h, "["+event("w1")+","+event("w2")+"]"))
	row("", r, 201, counts(2, 0)).Check(t, h.Do(t, r))
	if got := rows(); got != "2" {
		t.Errorf("%s rows after the answer, want 2", got)
	}
	r = sent(h, event("w3"))
	row("", r, 201, counts(1, 0)).Check(t, h.Do(t, r))
	r = at("?wait=stored", r)
	row("", r, 201, counts(0, 1)).Check(t, h.Do(t, r))
	if got := rows(); got != "3" {
		t.Errorf("%s rows after a duplicate's answer, want 3", got)
	}
}
