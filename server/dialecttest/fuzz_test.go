package dialecttest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

const bearer, secret = "Authorization: Bearer TOKEN", "Agent-Secret-Key: SECRET"

var fuzzSeeds = []struct{ method, path, header, body string }{
	{"POST", "/v1/events", bearer, `{"id":"a","usage":{"INPUT":1,"OUTPUT":"2.5"},"cost_usd":1}`},
	{"POST", "/v1/events?atomic=true", secret, `[{"usage":{"A":1e3}},{"usage":{"A":-1}}]`},
	{"POST", "/v1/events", bearer + "\r\nContent-Type: application/x-ndjson", "{}\n{\"usage\":{}}"},
	{"POST", "/v1/events?results=true", bearer + "\r\nContent-Type: application/cloudevents+json",
		`{"specversion":"1.0","type":"meterhouse.usage","source":"/a","id":"1","data":` +
			`{"usage":{"A":1}}}`},
	{"POST", "/v1/events", bearer + "\r\nce-id: 1\r\nce-source: %2F\r\nce-specversion: 1.0\r\n" +
		"ce-type: meterhouse.usage", `{"usage":{"A":1}}`},
	{"POST", "/v1/events", bearer + "\r\nContent-Encoding: zstd", "\x28\xb5\x2f\xfd\x20\x00\x01\x00"},
	{"GET", "/v1/events/RECORD", bearer, ""}, {"GET", "/v1/events/a%2Fb/history", secret, ""},
	{"PATCH", "/v1/events/RECORD?reason=a", bearer + "\r\nIf-Match: \"0\", *",
		`{"usage":{"UNITS":null,"A":"1.5"},"cost_usd":null}`},
	{"DELETE", "/v1/events/RECORD", bearer + "\r\nIf-Match: W/\"0\"", ""},
	{"POST", "/external/resource-usage", secret, `{"type":"OPENAI_TOKENS","amount":4567}`},
	{"POST", "/usage", bearer, `{"api_name":"a","endpoint":"/","units_used":1,"cost_usd":0.1,` +
		`"api_key_used":"sk-0123456789"}`},
	{"GET", "/usage?skip=1&limit=10", bearer, ""},
	{"GET", "/usage?skip=9223372036854775807&limit=1000", bearer, ""},
	{"GET", "/api/v1/usage/user/USER/", bearer, ""},
	{"GET", "/usage/RECORD", bearer, ""},
	{"OPTIONS", "/usage", "Origin: null\r\nAccess-Control-Request-Method: GET", ""},
	{"GET", "/v2/gen-ai/agents/AGENT/usage?start=2026-01-01&stop=2026-01-31T23:59:59+02:00",
		bearer, ""},
	{"HEAD", "/v2/genai/agents/%22AGENT%22/usage", bearer, ""},
	{"GET", "/api/v2/TenantConsumptionLogs/LOGIN/www.acmeonly.example/Daily/20260101/20260131",
		"", ""},
	{"GET", "/api/v2/UserConsumptionLogs/LOGIN/USER/monthly/00010101/99991231/", "", ""},
	{"GET", "/api/v2/MemoriConsumptionLogs/LOGIN/AGENT/Daily", "Origin: http://a", ""},
	{"FOO", "//../%2e%2e/%00?%zz=%", "Content-Length: 1\r\nTransfer-Encoding: chunked", "0\r\n\r\n"},
	{"POST", "/v1/events", bearer + "\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"},
	{"POST", "/usage", bearer + "\r\nContent-Encoding: gzip", "\x1f\x8b\x08\x00\x00"},
	{"POST", "/v1/traces", secret + "\r\nContent-Type: application/json", `{"resourceSpans":[` +
		`{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":` +
		`"0123456789abcdef","endTimeUnixNano":"1","attributes":[{"key":` +
		`"gen_ai.usage.input_tokens","value":{"intValue":"7"}}]}]}]}]}`},
	{"POST", "/v1/traces", bearer + "\r\nContent-Type: application/x-protobuf",
		"\x0a\x04\x12\x02\x12\x00"},
	{"GET", "/metrics", "", ""}, {"GET", "/readyz", "Connection: keep-alive", ""},
}

// FuzzServer sends anything to the whole server. In path and headers, TOKEN, AGENT, USER, RECORD,
// LOGIN and SECRET stand for what gets past the door.
func FuzzServer(f *testing.F) {
	h := dialecttest.New(f)
	o := h.Acme
	names := strings.NewReplacer(
		"TOKEN", o.Admin.AccessToken, "AGENT", o.MembersAgent.ID.String(),
		"USER", o.Member.ID.String(), "RECORD", o.MembersRecord.String(),
		"LOGIN", o.Admin.LoginToken, "SECRET", o.MembersAgent.Token,
	)
	for _, s := range fuzzSeeds {
		f.Add(s.method, s.path, s.header, s.body)
	}
	f.Fuzz(func(t *testing.T, method, path, header, body string) {
		raw := method + " " + names.Replace(path) + " HTTP/1.1\r\nHost: localhost\r\n"
		if header != "" {
			raw += names.Replace(header) + "\r\n"
		}
		if l := strings.ToLower(header); !strings.Contains(l, "transfer-encoding") &&
			!strings.Contains(l, "content-length") {
			raw += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		raw += "\r\n" + body
		c := h.Dial(t)
		defer c.Close()
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for {
			got, answered := c.Next(method)
			if !answered {
				break
			}
			if got.Status == http.StatusServiceUnavailable && isGone(h.Log) {
				h.Log.Take()
				return
			}
			if got.Status >= http.StatusInternalServerError {
				t.Fatalf("%q: %v\n%s", raw, got, h.Log)
			}
			method = http.MethodGet
		}
		if log := h.Log.Take(); strings.Contains(log, "panic") ||
			strings.Contains(log, "level=ERROR") {
			t.Fatalf("%q: %s", raw, log)
		}
	})
}

// isGone reports whether a question was ended because its client, who has closed its half, was taken
// for gone: where the database takes longer than a quarter of a second, it is.
func isGone(log fmt.Stringer) bool { return strings.Contains(log.String(), "context canceled") }
