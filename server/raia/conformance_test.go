package raia_test

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// The published contract line by line, and what proves each line. A test without a package is
// TestConformance here; "suite" is TestSuite with the named part of dialecttest.
//
//	POST, application/json                  §1 the documentation's own curl; §1 Content-Type
//	Agent-Secret-Key, no scheme word        §1 key: with a scheme word
//	header name in any case                 §1 201 on the wire
//	the key identifies one agent            §1 key: agent and organization are its own
//	Organization-, Super-Admin-Secret-Key   §1 key: the organization's, the super admin's
//	type: enum, required, case-sensitive    §1 type: …
//	amount: any JSON number, required       §1 amount: …
//	units: tokens and voice seconds         §1 units: only tokens are tokens
//	no timestamp: receipt time              §1 time: the server's, not the body's
//	no idempotency key                      §1 a repeated request counts again; with our header once
//	201: empty, length 0, no Content-Type   every accepted one; in bytes: §1 201 on the wire
//	403: missing, unknown, revoked          §1 403 …
//	403 is never 401                        §1 403 …; suite Credentials
//	403: name is a string (an object in the published schema)   every §1 403
//	500: two members                        §1 500
//	400: envelope, details are objects      §1 400 …
//	404: other paths                        §1 404 …
//	auth before validation                  §1 order: …
//	0, fraction accepted                    §1 amount: …
//	negative, NaN, "4567", 1e400 refused    §1 amount: …; suite Quantities
//	unknown keys are ignored                §1 unknown members
//	429, 503 with Retry-After               §1 429 …; suite Overload; TestExchanges
//	413, 415                                suite Sizes, Encodings; TestExchanges
//	405 with Allow                          §1 405; suite Routes
//	GET /external/agents/by-api-key         §1 404: what the n8n node asks
func TestConformance(t *testing.T) {
	h := dialecttest.New(t)
	t.Run("accepted", func(t *testing.T) { accepted(t, h) })
	h.Conform(t, credentials(h))
	h.Conform(t, bodies(h))
	h.Conform(t, routing(h))
	t.Run("§1 403: a revoked key", func(t *testing.T) { revoked(t, h) })
	t.Run("§1 500: two members and nothing of the cause", func(t *testing.T) { internal(t, h) })
	t.Run("§1 429: with Retry-After, and 403 once expired", func(t *testing.T) { tooMany(t, h) })
	t.Run("§1 201 on the wire", func(t *testing.T) { onTheWire(t, h) })
}

const (
	path      = "/external/resource-usage"
	sample    = `{"type":"OPENAI_TOKENS","amount":4567}` // the documentation's
	forbidden = `{"status":403,"name":"FORBIDDEN_ERROR","message":"INVALID_CREDENTIALS","details":[]}`
	notFound  = `{"status":404,"name":"ENTITY_NOT_FOUND_ERROR","message":"ENTITY_NOT_FOUND",` +
		`"details":[]}`
)

var asJSON = []string{"Content-Type", "application/json"}

// reported is the vendor's sample request with another body.
func reported(key, body string) dialecttest.Request {
	return dialecttest.Request{Method: "POST", Path: path, Body: body, Header: []string{
		"Agent-Secret-Key", key, "Content-Type", "application/json",
	}}
}

// accepted sends what is to count, and looks at what the ledger has of it.
func accepted(t *testing.T, h *dialecttest.Harness) {
	o := h.Acme
	f := func(name string, r dialecttest.Request, usageType, quantity string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			before, began := h.Accepted(t), time.Now()
			dialecttest.Row{Request: r, Status: 201}.Check(t, h.Do(t, r))
			if n := h.Accepted(t) - before; n != 1 {
				t.Errorf("%d events", n)
			}
			ended := time.Now()
			h.Flush(t)
			got := strings.Fields(h.Database.Strings(`SELECT toString(event_time),
				usage_type, toString(quantity), toString(organization_id), toString(agent_id),
				toString(user_id), concat('[', service, model, ']'), toString(chargeable)
				FROM usage_events ORDER BY sequence DESC, ordinal DESC LIMIT 1`)[0])
			want := []string{
				usageType, quantity, o.ID.String(), o.MembersAgent.ID.String(),
				o.Member.ID.String(), "[]", "true",
			}
			if strings.Join(got[2:], " ") != strings.Join(want, " ") {
				t.Errorf("the ledger has %v, want %v", got[2:], want)
			}
			at, err := time.Parse(time.DateTime, got[0]+" "+got[1])
			if err != nil || at.Before(began.Truncate(time.Microsecond)) || at.After(ended) {
				t.Errorf("happened at %v, was sent from %v to %v", at, began, ended)
			}
		})
	}
	key := o.MembersAgent.Token
	body := func(name, body, usageType, quantity string) {
		t.Helper()
		f(name, reported(key, body), usageType, quantity)
	}
	amount := func(name, literal, quantity string) {
		t.Helper()
		body("§1 amount: "+name, `{"type":"OPENAI_TOKENS","amount":`+literal+`}`, "OPENAI_TOKENS",
			quantity)
	}
	body("§1 the documentation's own curl", sample, "OPENAI_TOKENS", "4567")
	body("§1 type: VAPI_SECONDS", `{"type":"VAPI_SECONDS","amount":61}`, "VAPI_SECONDS", "61")
	body("§1 type: escapes are the letters they stand for",
		`{"type":"VAPI\u005fSECONDS","amount":62}`, "VAPI_SECONDS", "62")
	body("§1 members in any order", `{"amount":63,"type":"VAPI_SECONDS"}`, "VAPI_SECONDS", "63")
	amount("zero", "0", "0")
	amount("minus zero is zero", "-0.0", "0")
	amount("a fraction", "12.5", "12.5")
	amount("six decimals", "0.000001", "0.000001")
	amount("zeros behind are no decimals", "1.50000000", "1.5")
	amount("an exponent", "4.567e3", "4567")
	amount("beyond 2^53", "9007199254740993", "9007199254740993")
	amount("2^63-1", "9223372036854775807", "9223372036854775807")
	body("§1 unknown members are ignored",
		`{"type":"OPENAI_TOKENS","amount":65,"Type":"x","model":{"a":[null]},"amounts":"1"}`,
		"OPENAI_TOKENS", "65")
	body("§1 time: the server's, not the body's", `{"type":"OPENAI_TOKENS","amount":66,`+
		`"timestamp":"2020-01-01T00:00:00Z","time":"2020-01-01T00:00:00Z","createdAt":0}`,
		"OPENAI_TOKENS", "66")
	body("§1 key: agent and organization are its own", fmt.Sprintf(
		`{"type":"OPENAI_TOKENS","amount":67,"agent_id":%q,"agentId":%q,"organization_id":%q,`+
			`"user_id":%q}`, h.Globex.MembersAgent.ID, o.AdminsAgent.ID, h.Globex.ID, o.Admin.ID),
		"OPENAI_TOKENS", "67")
	bare := reported(key, sample)
	bare.Header = bare.Header[:2]
	f("§1 Content-Type: absent", bare, "OPENAI_TOKENS", "4567")
	bare = bare.With("Content-Type", "Application/JSON; charset=UTF-8")
	f("§1 Content-Type: with a parameter, in any case", bare, "OPENAI_TOKENS", "4567")
	slash := reported(key, sample)
	slash.Path += "/"
	f("§1 path: with a slash behind it", slash, "OPENAI_TOKENS", "4567")
	slash.Path = "/External/Resource-Usage?a=b"
	f("§1 path: in any case, with a query", slash, "OPENAI_TOKENS", "4567")
	f("§1 a repeated request counts again", reported(key, sample), "OPENAI_TOKENS", "4567")
	t.Run("§1 with our header a repeated request counts once", func(t *testing.T) {
		before := h.Accepted(t)
		keyed := reported(key, sample).With("Idempotency-Key", uuid.NewString())
		for range 3 {
			dialecttest.Row{Request: keyed, Status: 201}.Check(t, h.Do(t, keyed))
		}
		if n := h.Accepted(t) - before; n != 1 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("§1 units: only tokens are tokens", func(t *testing.T) {
		h.Flush(t)
		got := h.Do(t, dialecttest.Request{
			Method: "GET", Path: "/v2/gen-ai/agents/" + o.MembersAgent.ID.String() + "/usage",
		}.With("Authorization", "Bearer "+o.Member.AccessToken))
		if !bytes.Contains(got.Body, []byte(`"usage_type":"OPENAI_TOKENS"`)) ||
			bytes.Contains(got.Body, []byte("SECONDS")) {
			t.Errorf("the agent's tokens: %v", got)
		}
	})
}

// credentials are the documented key in every wrong place. Nothing but the status tells them apart
// from a right one.
func credentials(h *dialecttest.Harness) []dialecttest.Row {
	own := h.Acme.MembersAgent.Token
	refused := func(name string, header ...string) dialecttest.Row {
		r := dialecttest.Request{Method: "POST", Path: path, Body: sample}.With(header...)
		return dialecttest.Row{Name: "§1 403: " + name, Request: r.With("Content-Type",
			"application/json"), Status: 403, Header: asJSON, Body: forbidden}
	}
	order := func(name string, r dialecttest.Request) dialecttest.Row {
		return dialecttest.Row{Name: "§1 order: the key comes before " + name, Request: r,
			Status: 403, Header: asJSON, Body: forbidden}
	}
	form := reported("nobody's", "a=b")
	form.Header[3] = "application/x-www-form-urlencoded"
	rows := []dialecttest.Row{
		refused("no key"),
		refused("an empty key", "Agent-Secret-Key", ""),
		refused("an unknown key", "Agent-Secret-Key", uuid.NewString()),
		refused("the key in capitals", "Agent-Secret-Key", strings.ToUpper(own)),
		refused("half of a key", "Agent-Secret-Key", own[:len(own)-1]),
		refused("key: with a scheme word", "Agent-Secret-Key", "Bearer "+own),
		refused("key: as a bearer", "Authorization", "Bearer "+own),
		refused("key: the organization's", "Organization-Secret-Key", own),
		refused("key: the super admin's", "Super-Admin-Secret-Key", own),
		refused("key: an admin's token as the organization's", "Organization-Secret-Key",
			h.Acme.Admin.AccessToken),
		refused("a superadmin's token", "Agent-Secret-Key", h.Acme.Superadmin.AccessToken),
		refused("a superadmin's login token", "Agent-Secret-Key", h.Acme.Superadmin.LoginToken),
		refused("a superadmin's app password", "Agent-Secret-Key", h.Acme.Superadmin.AppPassword),
		order("the body", reported("nobody's", "{")),
		order("an empty body", reported("nobody's", "")),
		order("the media type", form),
		order("the encoding", reported("nobody's", sample).With("Content-Encoding", "br")),
		order("the size", reported("nobody's", strings.Repeat(" ", schema.RequestBytesMax+1))),
		order("our own header", reported("nobody's", sample).With("Idempotency-Key", "")),
	}
	return rows
}

// bodies are the requests of a known agent that cannot be taken.
func bodies(h *dialecttest.Harness) []dialecttest.Row {
	detail := func(field, message string) string {
		return fmt.Sprintf(`{"field":%q,"message":%q}`, field, message)
	}
	bad := func(name, body string, details ...string) dialecttest.Row {
		return dialecttest.Row{
			Name: "§1 400: " + name, Request: reported(h.Acme.MembersAgent.Token, body),
			Status: 400, Header: asJSON,
			Body: `{"status":400,"name":"BAD_REQUEST","message":"INVALID_REQUEST","details":[` +
				strings.Join(details, ",") + `]}`,
		}
	}
	var (
		noObject  = detail("body", "must be one JSON object")
		noType    = detail("type", "must be OPENAI_TOKENS or VAPI_SECONDS")
		noText    = detail("type", "must be a string")
		noNumber  = detail("amount", "must be a number")
		negative  = detail("amount", "must not be negative")
		tooFine   = detail("amount", "must have at most 6 decimals")
		outside   = detail("amount", "is out of range")
		aType     = detail("type", "is required")
		anAmount  = detail("amount", "is required")
		typeOf    = func(s string) string { return `{"type":` + s + `,"amount":1}` }
		amountOf  = func(s string) string { return `{"type":"OPENAI_TOKENS","amount":` + s + `}` }
		badUTF8   = detail("body", "must be valid UTF-8")
		bothWrong = `{"type":"TOKENS","amount":"4567"}`
	)
	return []dialecttest.Row{
		bad("no body", "", noObject),
		bad("no JSON", "{", noObject),
		bad("an array", "["+sample+"]", noObject),
		bad("null", "null", noObject),
		bad("two objects", sample+sample, noObject),
		bad("not UTF-8", "{\"type\":\"\xff\"}", badUTF8),
		bad("an empty object", "{}", aType, anAmount),
		bad("no type", `{"amount":1}`, aType),
		bad("no amount", `{"type":"OPENAI_TOKENS"}`, anAmount),
		bad("names in capitals are others", `{"TYPE":"OPENAI_TOKENS","Amount":1}`, aType, anAmount),
		bad("both wrong, both told", bothWrong, noType, noNumber),
		bad("type: in small letters", typeOf(`"openai_tokens"`), noType),
		bad("type: with a capital", typeOf(`"Vapi_seconds"`), noType),
		bad("type: with a space", typeOf(`"OPENAI_TOKENS "`), noType),
		bad("type: empty", typeOf(`""`), noType),
		bad("type: another usage type of ours", typeOf(`"INPUT"`), noType),
		bad("type: null", typeOf("null"), noText),
		bad("type: a number", typeOf("1"), noText),
		bad("type: a list", typeOf(`["OPENAI_TOKENS"]`), noText),
		bad("amount: a numeric string", amountOf(`"4567"`), noNumber),
		bad(`amount: §6 "10"`, amountOf(`"10"`), noNumber),
		bad("amount: true", amountOf("true"), noNumber),
		bad("amount: null", amountOf("null"), noNumber),
		bad("amount: a list", amountOf("[1]"), noNumber),
		bad("amount: an object", amountOf("{}"), noNumber),
		bad(`amount: "NaN"`, amountOf(`"NaN"`), noNumber),
		bad("amount: NaN is no JSON", amountOf("NaN"), noObject),
		bad("amount: Infinity is no JSON", amountOf("Infinity"), noObject),
		bad("amount: negative", amountOf("-1"), negative),
		bad("amount: a little negative", amountOf("-0.000001"), negative),
		bad("amount: 1e400 overflows", amountOf("1e400"), outside),
		bad("amount: 20 digits", amountOf("12345678901234567890"), outside),
		bad("amount: seven decimals", amountOf("0.1234567"), tooFine),
		bad("amount: 1e-400", amountOf("1e-400"), tooFine),
	}
}

// routing is everything else under the prefix.
func routing(h *dialecttest.Harness) []dialecttest.Row {
	key := h.Acme.MembersAgent.Token
	at := func(name, method, path string, status int, header []string, body string) dialecttest.Row {
		r := reported(key, "")
		r.Method, r.Path = method, path
		return dialecttest.Row{Name: name, Request: r, Status: status, Header: header, Body: body}
	}
	return []dialecttest.Row{
		at("§1 404: what the n8n node asks", "GET", "/external/agents/by-api-key", 404, asJSON,
			notFound),
		at("§1 404: the devkit's conversations", "POST", "/external/conversations/start", 404, asJSON,
			notFound),
		at("§1 404: the prefix alone", "GET", "/external/", 404, asJSON, notFound),
		at("§1 404: more behind the path", "POST", path+"/1", 404, asJSON, notFound),
		at("§1 405", "GET", path, 405, append([]string{"Allow", "POST"}, asJSON...),
			`{"status":405,"name":"METHOD_NOT_ALLOWED","message":"METHOD_NOT_ALLOWED","details":[]}`),
	}
}

// revoked takes the key of an agent away.
func revoked(t *testing.T, h *dialecttest.Harness) {
	key := h.Globex.AdminsAgent.Token
	r := reported(key, sample)
	dialecttest.Row{Request: r, Status: 201}.Check(t, h.Do(t, r))
	h.Change(t, schema.Catalog{}, schema.Catalog{Credentials: []schema.Credential{{
		Hash: schema.HashSecret(key), Kind: schema.AgentSecret,
		Organization: h.Globex.ID, Agent: h.Globex.AdminsAgent.ID,
	}}})
	dialecttest.Row{Request: r, Status: 403, Header: asJSON, Body: forbidden}.Check(t, h.Do(t, r))
	other := reported(h.Globex.MembersAgent.Token, sample)
	dialecttest.Row{Request: other, Status: 201}.Check(t, h.Do(t, other))
}

// tooMany reports with a key that may do so once a minute, and with one that was good once.
func tooMany(t *testing.T, h *dialecttest.Harness) {
	k := schema.Credential{
		Kind: schema.AgentSecret, Organization: h.Acme.ID, Agent: h.Acme.AdminsAgent.ID,
	}
	r := reported(h.Limited(t, k, 1), sample)
	dialecttest.Row{Request: r, Status: 201}.Check(t, h.Do(t, r))
	dialecttest.Row{Request: r, Status: 429,
		Header: append([]string{"Retry-After", dialecttest.AnyInteger}, asJSON...),
		Body: `{"status":429,"name":"TOO_MANY_REQUESTS","message":"TOO_MANY_REQUESTS","details":[` +
			`{"message":"the credential has used up its requests of this minute; try again later"}]}`,
	}.Check(t, h.Do(t, r))
	k.ExpiresAt = time.Now().UTC().Truncate(time.Microsecond)
	r = reported(h.Limited(t, k, 1), sample)
	dialecttest.Row{Request: r, Status: 403, Header: asJSON, Body: forbidden}.Check(t, h.Do(t, r))
}

// internal lets the dialect fail where it cannot: at its clock.
func internal(t *testing.T, h *dialecttest.Harness) {
	node := h.Start(t, dialecttest.NodeConfig{Now: func() time.Time { panic("a cause") }})
	r := reported(h.Acme.MembersAgent.Token, sample)
	dialecttest.Row{Request: r, Status: 500, Header: asJSON,
		Body: `{"status":500,"message":"Internal Server Error"}`}.Check(t, node.Do(t, r))
}

// answer is all that goes back for a report, but for its date and its name in our log.
var answer = regexp.MustCompile("^HTTP/1.1 201 Created\r\nDate: [^\r]+ GMT\r\n" +
	"Content-Length: 0\r\nX-Request-Id: [0-9a-f-]{36}\r\nConnection: close\r\n\r\n$")

// onTheWire looks at the bytes: client libraries hide how a header is spelt.
func onTheWire(t *testing.T, h *dialecttest.Harness) {
	for _, name := range []string{"agent-secret-key", "AGENT-SECRET-KEY", "Agent-Secret-Key"} {
		r := reported(h.Acme.MembersAgent.Token, sample)
		r.Header[0] = name
		c := h.Dial(t)
		if _, err := c.Write(r.With("Connection", "close").Bytes()); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || !answer.Match(got) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
