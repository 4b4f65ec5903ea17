package dialecttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestContractBites plants mistakes into answers that are as documented.
func TestContractBites(t *testing.T) {
	const member = `{"usage_id":"01975c1e-0000-7000-8000-000000000001",` +
		`"user_id":"7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11","api_name":"a","endpoint":"/",` +
		`"units_used":9223372036854775807,"cost_usd":0.0043,"api_key_used":"sk-…efgh",` +
		`"status_active":true,"created_at":"2025-07-04T12:00:00Z"}`
	const problem = `{"type":"about:blank","title":"Not Found","status":404}`
	answer := func(status int, body string, header ...string) Response {
		r := Response{Status: status, Header: make(http.Header), Body: []byte(body)}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i+1] == "" {
				r.Header.Del(header[i])
			}
		}
		return r
	}
	kind := func(of string) []string { return []string{"Content-Type", of} }
	f := func(method, target string, got Response, want string) {
		t.Helper()
		err := Conforms(method, target, got)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s %s: %v", method, target, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s %s: %v, want %q", method, target, err, want)
		}
	}
	f("GET", "/usage?limit=1", answer(200, "["+member+"]"), "")
	f("GET", "/API/v1/Usage/", answer(200, "[]"), "")
	f("GET", "/usage/01975c1e-0000-7000-8000-000000000001", answer(200, member), "")
	f("GET", "/usage/x", answer(200, "["+member+"]"), "body doesn't match")
	f("GET", "/usage", answer(200, strings.Replace("["+member+"]", "api_name", "apiName", 1)),
		"apiName")
	f("GET", "/usage/x", answer(200, strings.Replace(member, `"a"`, "7", 1)), "api_name")
	f("GET", "/usage/x", answer(200, strings.Replace(member, "0.0043", `"0.0043"`, 1)), "cost_usd")
	f("GET", "/usage/x", answer(200, strings.Replace(member, "-0000-", "", 1)), "usage_id")
	f("GET", "/usage/x", answer(200, strings.Replace(member, "T12", " 12", 1)), "created_at")
	f("GET", "/usage/x", answer(200, strings.Replace(member, "{", `{"more":1,`, 1)), "more")
	f("GET", "/usage/x", answer(200, "<p>", kind("text/html")...), "Content-Type")
	f("GET", "/usage/x", answer(418, `{"detail":"a teapot"}`), "status is not supported")
	f("GET", "/usage/x", answer(401, `{"detail":"Not authenticated"}`), "WWW-Authenticate")
	f("POST", "/external/resource-usage", answer(201, "", kind("")...), "")
	f("POST", "/external/resource-usage", answer(201, "{}"), "a body where none belongs")
	f("POST", "/external/resource-usage", answer(201, ""), "Content-Type")
	retry := `{"status":429,"name":"A","message":"A","details":[]}`
	f("POST", "/external/resource-usage", answer(429, retry, "Retry-After", "1"), "")
	f("POST", "/external/resource-usage", answer(429, retry), "Retry-After")
	f("POST", "/external/resource-usage", answer(429, retry, "Retry-After", "0"), "Retry-After")
	f("POST", "/external/resource-usage", answer(503, retry, "Retry-After", "1"), "429")
	f("GET", "/no/route", answer(404, problem, kind("application/problem+json")...), "")
	f("GET", "/no/route", answer(200, problem, kind("application/problem+json")...), "want one of")
	f("GET", "/v2/no/route", answer(404, problem, kind("application/problem+json")...),
		"x-request-id")
	f("PUT", "/v1/events", answer(405, strings.Replace(problem, "404", "405", 1),
		"Content-Type", "application/problem+json", "Allow", "POST"), "")
	f("PUT", "/v1/events", answer(405, strings.Replace(problem, "404", "405", 1),
		kind("application/problem+json")...), "no Allow")
	f("PUT", "/v1/events", answer(404, problem, kind("application/problem+json")...), "want one of")
	f("HEAD", "/healthz", answer(200, "", kind("text/plain")...), "")
	f("HEAD", "/healthz", answer(202, "", kind("text/plain")...), "status is not supported")
	logs := `{"consumptionLogs":[],"requestID":1,"requestDateTime":"2026-01-01T00:00:00.000Z",` +
		`"resultCode":0,"resultMessage":"Ok"}`
	memori := "/API/V2/userConsumptionLogs/t/u/Daily/20260101//"
	f("GET", memori, answer(200, logs, "Vary", "Origin"), "")
	f("GET", memori, answer(404, logs, "Vary", "Origin"), "status is not supported")
	f("GET", memori, answer(200, strings.Replace(logs, "Ok", "OK", 1), "Vary", "Origin"), "oneOf")
	f("GET", memori, answer(200, strings.Replace(logs, "[]", "null", 1), "Vary", "Origin"), "oneOf")
	f("GET", "/api/v2/nothing", answer(200, logs, "Vary", "Origin"), "consumptionLogs")
}

// noted notes the errors of a test instead of failing it.
type noted struct {
	testing.TB
	errors []string
}

func (n *noted) Helper() {}

func (n *noted) Errorf(format string, args ...any) {
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

// TestHarnessAsksTheContract answers in a way that no route has, to every way of asking a node.
func TestHarnessAsksTheContract(t *testing.T) {
	planted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Connection", "close")
		_, _ = w.Write([]byte(`{"detail":"planted"}`)) // a client that is gone fails the test anyway
	}))
	defer planted.Close()
	n := &Node{Address: planted.Listener.Addr().String(), client: planted.Client()}
	request := Request{Method: "GET", Path: "/usage"}
	for how, ask := range map[string]func(testing.TB){
		"Do":   func(t testing.TB) { n.Do(t, request) },
		"Send": func(t testing.TB) { n.Send(t, request, strings.NewReader(""), 0) },
		"Raw":  func(t testing.TB) { n.Raw(t, "GET", request.Bytes()) },
	} {
		as := &noted{TB: t}
		if ask(as); len(as.errors) != 1 || !strings.Contains(as.errors[0], "OpenAPI: GET, /usage") {
			t.Errorf("%s: %q", how, as.errors)
		}
	}
}
