package main

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"
)

// DigitalOcean's client keeps its pace by what our answers tell it, the refused ones included, and
// every other API refuses in its own manner.
func TestCredentialsHaveARateLimit(t *testing.T) {
	const limit = 3
	c := clients{program: newProgram(t, demoCatalog)}
	c.args = []string{"--rate-limit", strconv.Itoa(limit)}
	c.start()
	untilTheMinuteIsYoung()
	call := doCall{Token: "dop_v1_demo_ada", Agent: helperAgent}
	for remaining := limit - 1; remaining >= 0; remaining-- {
		_, response, err := c.godoGet(t, call)
		if err != nil {
			t.Fatal(err)
		}
		sameGodoRate(t, response.Rate, limit)
		if response.Rate.Remaining != remaining {
			t.Errorf("%d requests are left, want %d", response.Rate.Remaining, remaining)
		}
	}
	_, response, err := c.godoGet(t, call)
	var refused *godo.ErrorResponse
	if !errors.As(err, &refused) || response.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("the fourth of three: %v", err)
	}
	sameGodoRate(t, response.Rate, limit)
	oneRequestID(t, refused.RequestID, response.Header.Get("x-request-id"))
	wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
	end := time.Now().Add(time.Duration(wait) * time.Second)
	if off := end.Sub(response.Rate.Reset.Time); err != nil || off < -2*time.Second ||
		off > 2*time.Second {
		t.Errorf("Retry-After %q, reset at %s", response.Header.Get("Retry-After"),
			response.Rate.Reset)
	}
	// What one API counted, all others know: a limit is the credential's.
	over := func(method, path, body string, wantStatus int, says string, headers ...string) {
		t.Helper()
		r := c.do(method, path, body, headers...)
		if r.status != wantStatus || r.header.Get("Retry-After") == "" && wantStatus != 200 ||
			!strings.Contains(string(r.body), says) {
			t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
	}
	use := func(method, path, body string, headers ...string) {
		t.Helper()
		for range limit {
			if r := c.do(method, path, body, headers...); r.status/100 != 2 {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
			}
		}
	}
	const event, spans = `{"usage":{"INPUT":1}}`, `{"resourceSpans":[]}`
	asAda := []string{"Authorization", "Bearer dop_v1_demo_ada", "Content-Type", "application/json"}
	over("GET", "/usage", "", 429, `"detail"`, asAda...)
	over("POST", "/v1/events", event, 429, `"status":429`, asAda...)
	over("GET", "/v1/admin/users", "", 429, `"status":429`, asAda...)
	over("POST", "/v1/traces", spans, 429, "", asAda...)
	byAgent := []string{"Agent-Secret-Key", "demo-agent-secret-1"}
	const report = `{"type":"OPENAI_TOKENS","amount":1}`
	use("POST", "/external/resource-usage", report, byAgent...)
	over("POST", "/external/resource-usage", report, 429, "", byAgent...)
	const logs = "/api/v2/TenantConsumptionLogs/11111111-1111-4111-8111-111111111111/" +
		"www.acme.example/Daily"
	use("GET", logs, "")
	over("GET", logs, "", 200, `"resultCode":429`)
	login := []string{"Content-Type", "application/json"}
	use("POST", "/api/auth/app-login", `{"token":"app_a7_demo_ada"}`, login...)
	over("POST", "/api/auth/app-login", `{"token":"app_a7_demo_ada"}`, 429, `"error"`, login...)
	over("GET", "/api/billing/user", "", 429, `"error"`,
		"Authorization", "Bearer app_a7_demo_ada")
	c.stop()
}

// untilTheMinuteIsYoung returns when a few requests fit into the minute that runs.
func untilTheMinuteIsYoung() {
	if s := time.Now().Second(); s > 45 {
		time.Sleep(time.Duration(61-s) * time.Second)
	}
}
