package server_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialecttest"
	"github.com/meterhouse/meterhouse/server/openapi"
)

// bareServer is a server without a database behind it: what it can do is route and refuse.
func bareServer(t *testing.T) *server.Server {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	s, err := server.New(server.Config{
		Directory: access.NewDirectory(nil, logger), Logger: logger,
		Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readDocument returns the OpenAPI document's operations by path and method, and its prefixes.
func readDocument(t *testing.T) (paths map[string]map[string]any, prefixes []string) {
	t.Helper()
	d, err := openapi.Load()
	if err != nil {
		t.Fatal(err)
	}
	var members struct {
		Paths    map[string]map[string]any
		Unrouted map[string]any `json:"x-unrouted"`
	}
	if err := json.Unmarshal(d.JSON, &members); err != nil {
		t.Fatal(err)
	}
	return members.Paths, slices.Collect(maps.Keys(members.Unrouted))
}

// template writes a fiber route as OpenAPI does. A rest of any length stays a star.
func template(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if name, ok := strings.CutPrefix(s, ":"); ok {
			segments[i] = "{" + name + "}"
		}
	}
	return strings.Join(segments, "/")
}

func describes(route, path string) bool {
	if before, ok := strings.CutSuffix(route, "*"); ok {
		return strings.HasPrefix(path, before)
	}
	return route == path
}

// TestDocumentAndRoutesAgree finds the route that is not documented, and what is documented and no
// route. HEAD is documented by GET.
func TestDocumentAndRoutesAgree(t *testing.T) {
	documented, _ := readDocument(t)
	routed := make(map[string]bool) // of the document's paths and methods
	for _, r := range bareServer(t).App().GetRoutes(true) {
		found := false
		method := strings.ToLower(r.Method)
		if r.Method == http.MethodHead {
			method = "get"
		}
		for path, item := range documented {
			if item[method] != nil && describes(template(r.Path), path) {
				found = true
				routed[r.Method+" "+path] = true
			}
		}
		if !found {
			t.Errorf("%s %s is not documented", r.Method, r.Path)
		}
	}
	for path, item := range documented {
		for method := range item {
			if method != "parameters" && !routed[strings.ToUpper(method)+" "+path] {
				t.Errorf("%s %s is documented, and is no route", strings.ToUpper(method), path)
			}
		}
	}
}

// TestPrefixesAreDocumented ties the form of errors elsewhere to the dialects' prefixes.
func TestPrefixesAreDocumented(t *testing.T) {
	_, documented := readDocument(t)
	want := append(slices.Collect(maps.Keys(bareServer(t).Prefixes())), "/")
	slices.Sort(want)
	slices.Sort(documented)
	if !slices.Equal(documented, want) {
		t.Errorf("documented %v, want %v", documented, want)
	}
}

// envelopes are the forms of errors: each says whether members are it, for a status.
var envelopes = map[string]func(members map[string]any, status int) bool{
	"problem": func(m map[string]any, status int) bool {
		return m["type"] == "about:blank" && m["status"] == float64(status)
	},
	"raia": func(m map[string]any, status int) bool {
		_, named := m["name"].(string)
		return m["status"] == float64(status) && named == (status < 500)
	},
	"memori": func(m map[string]any, status int) bool {
		_, there := m["consumptionLogs"]
		return there && m["resultCode"] == float64(status)
	},
	"agent700": func(m map[string]any, _ int) bool {
		_, ok := m["error"].(string)
		return ok && len(m) == 1
	},
	"digitalocean": func(m map[string]any, _ int) bool {
		return m["id"] != nil && m["message"] != nil && m["request_id"] != nil && len(m) == 3
	},
	"tracker": func(m map[string]any, _ int) bool {
		_, ok := m["detail"].(string)
		return ok && len(m) == 1
	},
	"otlp": func(m map[string]any, _ int) bool {
		return m["code"] != nil && m["message"] != nil && len(m) == 2
	},
}

// failing is a header by which a test lets a path that is no route fail.
const failing = "X-Failing"

func fail(c *fiber.Ctx) error {
	switch c.Get(failing) {
	case "413":
		return fiber.ErrRequestEntityTooLarge
	case "413 of ours":
		return schema.Errorf(schema.TooLarge, "", "is too large")
	case "415":
		return fiber.ErrUnsupportedMediaType
	case "415 of ours":
		return schema.Errorf(schema.Unsupported, "", "is not supported")
	case "500":
		return errors.New("cause-of-the-test")
	case "500 by a panic":
		panic("cause-of-the-test")
	}
	return c.Next()
}

// TestErrorsHaveTheFormOfTheirPath lets every prefix fail in every way that no dialect decides.
func TestErrorsHaveTheFormOfTheirPath(t *testing.T) {
	s := bareServer(t)
	s.App().Use(fail) // behind the routes: for what is none
	f := func(unknown, route, wrong, envelope string) {
		t.Helper()
		check := func(method, path, how string, status int) {
			t.Helper()
			request := httptest.NewRequest(method, path, nil)
			request.Header.Set(failing, how)
			answer, err := s.App().Test(request, -1)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := dialecttest.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
			var members map[string]any
			wantStatus := status
			if envelope == "memori" {
				wantStatus = http.StatusOK
			}
			if err := json.Unmarshal(body, &members); err != nil || got.Status != wantStatus ||
				!envelopes[envelope](members, status) {
				t.Errorf("%s %s %s: %v, want %d as %s", method, path, how, got, status, envelope)
			}
			isProblem := got.Header.Get("Content-Type") == "application/problem+json"
			if isProblem != (envelope == "problem") {
				t.Errorf("%s %s %s: media type %s", method, path, how, got.Header["Content-Type"])
			}
			if strings.Contains(got.String(), "cause-of-the-test") {
				t.Errorf("%s %s %s: tells its cause: %v", method, path, how, got)
			}
			if allow := got.Header.Get("Allow"); (allow != "") != (status == 405) {
				t.Errorf("%s %s %s: Allow %q", method, path, how, allow)
			}
			if err := dialecttest.Conforms(method, path, got); err != nil {
				t.Error(err)
			}
		}
		check("GET", unknown, "", 404)
		check("POST", strings.ToUpper(unknown), "", 404)
		check(wrong, route, "", 405)
		check(wrong, strings.ToUpper(route)+"/", "", 405)
		for _, how := range []string{
			"413", "413 of ours", "415", "415 of ours", "500", "500 by a panic",
		} {
			check("GET", unknown, how, map[byte]int{'3': 413, '5': 415, '0': 500}[how[2]])
		}
	}
	f("/external/nothing", "/external/resource-usage", "GET", "raia")
	f("/api/v2/nothing", "/api/v2/UserConsumptionLogs/t/u/Daily", "POST", "memori")
	f("/api/billing/nothing", "/api/billing/external-usage", "GET", "agent700")
	f("/api/auth/nothing", "/api/auth/app-login", "GET", "agent700")
	f("/v2/nothing", "/v2/gen-ai/agents/a/usage", "POST", "digitalocean")
	f("/v2/genai/nothing", "/v2/genai/agents/a/usage", "DELETE", "digitalocean")
	f("/usage/a/b", "/usage", "PUT", "tracker")
	f("/usage/user/a/b", "/usage/user/a", "POST", "tracker")
	f("/api/v1/usage/a/b", "/api/v1/usage", "DELETE", "tracker")
	f("/v1/nothing", "/v1/events", "PUT", "problem")
	f("/v1/events/a/nothing", "/v1/events", "DELETE", "problem")
	f("/v1/admin/nothing", "/v1/admin/users", "PUT", "problem")
	f("/v1/admin/users/a/b", "/v1/admin/audit", "POST", "problem")
	f("/v1/report/nothing", "/v1/report/slots", "POST", "problem")
	f("/v1/report/slots/a/b", "/v1/report/run", "GET", "problem")
	f("/webhooks/nothing", "/webhooks/stripe", "GET", "problem")
	f("/v1/traces/nothing", "/v1/traces", "GET", "otlp")
	f("/openapi.json/nothing", "/openapi.json", "POST", "problem")
	f("/docs/nothing", "/docs", "DELETE", "problem")
	f("/healthz/nothing", "/healthz", "POST", "problem")
	f("/nothing", "/metrics", "POST", "problem")
	f("/console/nothing", "/console/session", "PUT", "problem")
	f("/nobody", "/readyz", "PUT", "problem")
}

// TestDocumentIsServed asks for both forms of the document, without a credential.
func TestDocumentIsServed(t *testing.T) {
	s := bareServer(t)
	for _, path := range []string{"/openapi.json", "/docs", "/OpenAPI.json", "/docs/"} {
		for _, method := range []string{"GET", "HEAD"} {
			answer, err := s.App().Test(httptest.NewRequest(method, path, nil), -1)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := dialecttest.Response{Status: answer.StatusCode, Header: answer.Header, Body: body}
			if got.Status != http.StatusOK || (len(body) > 0) != (method == "GET") {
				t.Errorf("%s %s: %v", method, path, got)
			}
			if err := dialecttest.Conforms(method, path, got); err != nil {
				t.Error(err)
			}
		}
	}
}
