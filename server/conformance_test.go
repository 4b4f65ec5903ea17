package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// What the published contracts have in common, line by line, and what proves each line. The rest is
// in each dialect's own conformance_test.go.
//
//	§0 every path is at the root of one origin           TestOneOriginServesAll
//	§0 each API has its own credential and its envelope  TestOneOriginServesAll
//	§0 404, 405, 500 by the prefix                       TestNoTextErrors; each dialect's suite
//	§0 agent700's path, the usage tracker                TestOneOriginServesAll
//	§0 Memori's codes -901 to -905, tokens in strings    server/memori TestConformance
//	§0 DigitalOcean's tokens are numbers                 server/digitalocean TestConformance
//	§0 raia's 201 is empty, its 403 has a string         server/raia TestConformance
//	§6 each API's own idea of "10"                       TestTenInQuotes
//	§6 64 bits                                           each dialect's TestConformance, at §6
//	§6 no HTML or text error below any prefix            TestNoTextErrors
//	§6 Memori's token is in no log                       server/memori TestConformance, its suite

// writes are the writing calls with a quantity as it stands in JSON, each with a credential that
// may call it.
func writes(o *dialecttest.Organization, quantity string) map[string]dialecttest.Request {
	post := func(path, body, name, value string) dialecttest.Request {
		return dialecttest.Request{Method: "POST", Path: path, Body: body}.
			With(name, value, "Content-Type", "application/json")
	}
	bearer := func(token string) string { return "Bearer " + token }
	return map[string]dialecttest.Request{
		"raia": post("/external/resource-usage", `{"type":"OPENAI_TOKENS","amount":`+quantity+`}`,
			"Agent-Secret-Key", o.MembersAgent.Token),
		"tracker": post("/usage", `{"api_name":"a","endpoint":"/","units_used":`+quantity+
			`,"cost_usd":0.0043,"api_key_used":"k"}`, "Authorization", bearer(o.Member.AccessToken)),
		"agent700": post("/api/billing/external-usage", fmt.Sprintf(
			`{"user_id":%q,"organization_id":%q,"model_name":%q,"input_tokens":%s,"output_tokens":0,`+
				`"service_name":%q}`, o.Member.ID, o.ID, o.Model(), quantity, o.Service()),
			"Authorization", bearer(o.Superadmin.AppPassword)),
		"native": post("/v1/events", `{"usage":{"INPUT":`+quantity+`}}`,
			"Authorization", bearer(o.Member.AccessToken)),
	}
}

// TestOneOriginServesAll calls every published API at the root of one origin, as its own clients
// do, and with the credential of another: each answers its own and refuses in its own words.
func TestOneOriginServesAll(t *testing.T) {
	h := dialecttest.New(t)
	o := h.Acme
	calls := writes(o, "7")
	get := func(path string) dialecttest.Request {
		return dialecttest.Request{Method: "GET", Path: path}
	}
	calls["memori"] = get("/api/v2/TenantConsumptionLogs/" + o.Admin.LoginToken + "/" + o.Tenant +
		"/Daily")
	calls["digitalocean"] = get("/v2/gen-ai/agents/"+o.MembersAgent.ID.String()+"/usage").
		With("Authorization", "Bearer "+o.Member.AccessToken)
	refusals := map[string]string{
		"raia": `{"status":403,"name":"FORBIDDEN_ERROR","message":"INVALID_CREDENTIALS",` +
			`"details":[]}`,
		"memori": `{"consumptionLogs":null,"requestID":"` + dialecttest.AnyInteger +
			`","requestDateTime":"` + dialecttest.AnyInstant +
			`","resultCode":-101,"resultMessage":"Session not found"}`,
		"agent700": `{"error":"Invalid or expired token"}`,
		"digitalocean": `{"id":"unauthorized","message":"Unable to authenticate you","request_id":"` +
			dialecttest.AnyID + `"}`,
		"tracker": `{"detail":"invalid or expired token"}`,
	}
	for name, r := range calls {
		t.Run("§0 "+name, func(t *testing.T) {
			if got := h.Do(t, r); got.Status != http.StatusOK && got.Status != http.StatusCreated {
				t.Errorf("its own client: %v", got)
			}
			if refusals[name] == "" {
				return
			}
			stranger := r // with a credential of another kind than the API's
			stranger.Header = append([]string(nil), r.Header...)
			for i := 1; i < len(stranger.Header); i += 2 {
				stranger.Header[i] = strings.Replace(stranger.Header[i], o.MembersAgent.Token,
					o.Admin.LoginToken, 1)
				for _, u := range []dialecttest.User{o.Member, o.Superadmin} {
					stranger.Header[i] = strings.NewReplacer(u.AccessToken, o.Admin.LoginToken,
						u.AppPassword, o.Admin.LoginToken).Replace(stranger.Header[i])
				}
			}
			stranger.Path = strings.Replace(r.Path, o.Admin.LoginToken, o.Admin.AccessToken, 1)
			got := h.Do(t, stranger)
			row := dialecttest.Row{Status: got.Status, Body: refusals[name]}
			got.Header = http.Header{"Content-Length": got.Header["Content-Length"]}
			row.Check(t, got)
			want := map[string]int{"raia": 403, "memori": 200}[name]
			if want == 0 {
				want = 401
			}
			if got.Status != want {
				t.Errorf("status %d, want %d", got.Status, want)
			}
		})
	}
}

// TestTenInQuotes sends numbers in quotes, which some of the APIs take for numbers.
func TestTenInQuotes(t *testing.T) {
	h := dialecttest.New(t)
	for name, want := range map[string]int{"raia": 400, "agent700": 400, "tracker": 201, "native": 201} {
		t.Run(`§6 "10" to `+name, func(t *testing.T) {
			before := h.Accepted(t)
			got := h.Do(t, writes(h.Acme, `"10"`)[name])
			if n := h.Accepted(t) - before; got.Status != want || (n == 1) != (want == 201) {
				t.Errorf("%d events, %v", n, got)
			}
			if got := h.Do(t, writes(h.Acme, "10")[name]); got.Status != http.StatusCreated {
				t.Errorf("10 itself: %v", got)
			}
		})
	}
}

// prefixes are where every API lives, and where nobody does.
var prefixes = []string{
	"/external/", "/api/v2/", "/api/billing/", "/api/auth/", "/v2/", "/usage/user/", "/api/v1/usage/",
	"/v1/", "/v1/admin/", "/v1/traces/", "/nobody/",
}

// TestNoTextErrors asks for everything that goes wrong before an API's own code runs, as a browser
// would: nothing of fiber's or fasthttp's own pages comes back.
func TestNoTextErrors(t *testing.T) {
	h := dialecttest.New(t)
	for _, prefix := range prefixes {
		long := prefix + strings.Repeat("a", 20<<10)
		browser := []string{"Accept", "text/html,application/xhtml+xml", "Connection", "close"}
		for what, sent := range map[string]dialecttest.Request{
			"an unknown path":      {Method: "GET", Path: prefix + "a/b/c/d/e/f"},
			"the prefix alone":     {Method: "GET", Path: prefix},
			"a tag":                {Method: "GET", Path: prefix + "<script>alert(1)</script>"},
			"an unknown method":    {Method: "BREW", Path: prefix + "x"},
			"a broken escape":      {Method: "GET", Path: prefix + "%zz"},
			"dots":                 {Method: "GET", Path: prefix + "../" + strings.Repeat("../", 9) + "x"},
			"a path too long":      {Method: "GET", Path: long},
			"a body nobody wants":  {Method: "POST", Path: prefix + "x", Body: "<html></html>"},
			"a negative length":    posted(prefix, "Content-Length", "-1"),
			"two lengths":          posted(prefix, "Content-Length", "0", "Content-Length", "0"),
			"an unknown encoding":  posted(prefix, "Transfer-Encoding", "br"),
			"a header too long":    dialecttest.Request{Method: "GET", Path: prefix}.With("X", long),
			"a header without end": {Method: "GET", Path: prefix, Header: []string{"X", "a\x00b"}},
		} {
			t.Run("§6 "+prefix+": "+what, func(t *testing.T) {
				all := h.Raw(t, sent.Method, sent.With(browser...).Bytes())
				for _, got := range all {
					isAnError(t, got)
				}
				if len(all) != 1 {
					t.Errorf("%d answers", len(all))
				}
			})
		}
	}
	for _, garbage := range []string{
		"GARBAGE\r\n\r\n", "GET\r\n\r\n", "GET /v2/ HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n", "\x16\x03\x01\x00",
		"GET /v2/x HTTP/1.1\r\nHost : a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(fmt.Sprintf("§6 %q", garbage), func(t *testing.T) {
			c := h.Dial(t)
			if _, err := io.WriteString(c, garbage); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			for got, ok := c.Next("GET"); ok; got, ok = c.Next("GET") {
				isAnError(t, got)
			}
		})
	}
	if log := h.Log.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log:\n%s", log)
	}
}

func posted(prefix string, header ...string) dialecttest.Request {
	return dialecttest.Request{Method: "POST", Path: prefix + "x", Header: header}
}

// isAnError fails unless an answer is an error and JSON, of Memori's or of everybody else's kind.
func isAnError(t *testing.T, got dialecttest.Response) {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(got.Body, &answer); err != nil {
		t.Errorf("%v: %v", err, got)
	}
	code, _ := answer["resultCode"].(float64)
	if got.Status < 400 && code == 0 {
		t.Errorf("no error: %v", got)
	}
	media, _, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && media != "application/problem+json" {
		t.Errorf("media type %q: %v", got.Header.Get("Content-Type"), got)
	}
	if len(got.Body) > schema.TextMax*4 || bytes.Contains(got.Body, []byte("<script>")) {
		t.Errorf("repeats the request: %.300s", got.Body)
	}
}
