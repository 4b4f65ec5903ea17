package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
)

const observedAgent = "12345678-1234-4234-8234-123456789012"

// observed is a program that is traced, logs everything, and is given a secret of every kind.
type observed struct {
	*billed
	collector *collector
	proxy     *proxy // before ClickHouse
	admin     string
	secrets   []string
	told      strings.Builder // what was answered that nobody should learn a secret from
}

func newObserved(t *testing.T) *observed {
	t.Helper()
	engine := startEngine(t)
	o := &observed{
		billed: newBilled(t), collector: newCollector(t), admin: stableAddress(t),
		proxy:   newProxy(t, engine.address),
		secrets: []string{canary, billedToken, engine.password},
	}
	catalog := strings.Replace(billedCatalog, "    credentials:\n", fmt.Sprintf(`    agents:
      - {id: %[1]s, name: Helper, owner: %[2]s}
    credentials:
      - {kind: agent_secret, agent: %[1]s, secret: agent_%[3]s}
      - {kind: login_token, user: %[2]s, secret: login_%[3]s}
      - {kind: app_password, user: %[2]s, secret: app_%[3]s}
`, observedAgent, demoAda, canary), 1)
	writeFile(t, o.catalog, []byte(catalog))
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden) // as S3 does, which quotes what it was sent
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>%s</Message></Error>",
			r.Header.Get("Authorization"))
	}))
	t.Cleanup(bucket.Close)
	const bucketVariable = "METERHOUSE_EXPORT_S3_WAREHOUSE_"
	o.env = append(o.env,
		"METERHOUSE_CLICKHOUSE="+engine.dsn(o.proxy.address), "METERHOUSE_ADMIN_LISTEN="+o.admin,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+o.collector.URL, "OTEL_BSP_SCHEDULE_DELAY=50",
		"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer "+canary,
		"METERHOUSE_LOG_LEVEL=debug", "METERHOUSE_LOG_FORMAT=json", "METERHOUSE_ACCESS_LOG=true",
		"METERHOUSE_JWT_SECRET="+observedJWT, bucketVariable+"URL="+bucket.URL+"/usage/",
		bucketVariable+"ACCESS_KEY_ID=AKIA"+canary, bucketVariable+"SECRET_ACCESS_KEY="+canary)
	if out, err := o.command(t.Context(), "migrate").CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	o.start()
	return o
}

const observedJWT = "jwt-" + canary + canary + canary + canary

// hears sends a request whose answer nobody should learn a secret from.
func (o *observed) hears(want int, method, path, body string, headers ...string) response {
	o.t.Helper()
	r := o.do(method, path, body, headers...)
	fmt.Fprintf(&o.told, "%s %s: %v %s\n", method, path[:min(len(path), 12)], r.header, r.body)
	if r.status != want {
		o.t.Errorf("%s %s: %d, want %d: %.300s", method, path, r.status, want, r.body)
	}
	return r
}

// credentials uses every kind, as it is and a little wrong.
func (o *observed) credentials(t *testing.T) {
	token := strings.TrimPrefix(tokenFor(t, demoAda, jwa.HS256(), []byte(observedJWT))[1], "Bearer ")
	o.secrets = append(o.secrets, token, token[strings.LastIndexByte(token, '.')+1:])
	const (
		raia  = `{"type":"OPENAI_TOKENS","amount":1}`
		event = `{"usage":{"INPUT":1}}`
		costs = "/api/billing/user"
		agent = "/v2/gen-ai/agents/" + observedAgent + "/usage"
	)
	for _, wrong := range []string{"", "0"} {
		or := func(right, refused int) int {
			if wrong != "" {
				return refused
			}
			return right
		}
		o.hears(or(201, 403), "POST", "/external/resource-usage", raia,
			"Agent-Secret-Key", "agent_"+canary+wrong, "Content-Type", "application/json")
		o.hears(200, "GET", "/api/v2/MemoriConsumptionLogs/login_"+canary+wrong+"/"+
			observedAgent+"/Daily", "")
		o.hears(or(200, 401), "GET", costs, "", "Authorization", "Bearer app_"+canary+wrong)
		o.hears(or(200, 401), "GET", agent, "", "Authorization", "Bearer "+billedToken+wrong)
		o.hears(or(201, 401), "POST", "/v1/events", event, "Authorization", "Bearer "+token+wrong)
	}
	o.hears(401, "GET", "/v1/usage/query?key="+canary, "", "Authorization", "Basic "+canary)
}

// console signs in, and sends the session's token wrong and right.
func (o *observed) console() {
	signIn := func(credential string) response {
		return o.do("POST", "/console/session", `{"credential":"`+credential+`"}`,
			"Content-Type", "application/json")
	}
	fmt.Fprintf(&o.told, "sign-in: %s\n", signIn("wrong_"+canary).body)
	r := signIn("app_" + canary)
	var session struct{ CSRF string }
	if err := json.Unmarshal(r.body, &session); err != nil || session.CSRF == "" {
		o.t.Fatalf("%d %s", r.status, r.body)
	}
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	o.secrets = append(o.secrets, value, session.CSRF)
	const event = `{"usage":{"INPUT":1}}`
	o.hears(201, "POST", "/v1/events", event, "Cookie", cookie, "X-CSRF-Token", session.CSRF)
	o.hears(403, "POST", "/v1/events", event, "Cookie", cookie, "X-CSRF-Token", session.CSRF+"0")
	o.hears(401, "GET", "/v1/system", "", "Cookie", cookie+"0")
	o.hears(200, "GET", "/v1/system", "", "Cookie", cookie)
}

// bodies sends secrets where they do not belong, and one where it does.
func (o *observed) bodies() {
	as := []string{"Authorization", "Bearer " + billedToken, "Content-Type", "application/json"}
	o.hears(201, "POST", "/v1/events?wait=stored",
		`{"id":"keyed","usage":{"INPUT":1},"provider_key":"sk-live-`+canary+`-tail"}`, as...)
	for _, body := range []string{
		`{"usage":{"INPUT":"` + canary + `"}}`, `{"usage":{"INPUT":1},"time":"` + canary + `"}`,
		`{"usage":{"INPUT":1},"agent_id":"` + canary + `"}`, `["` + canary + `"]`, `{` + canary,
	} {
		r := o.do("POST", "/v1/events", body, as...)
		fmt.Fprintf(&o.told, "%s\n", r.body)
		if r.status < 400 || r.status >= 500 {
			o.t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}

// fails lets an export to a bucket fail, and ClickHouse be away.
func (o *observed) fails() {
	as := []string{"Authorization", "Bearer " + billedToken, "Content-Type", "application/json"}
	r := o.hears(202, "POST", "/v1/exports", `{"events":{"from":"2026-01-01","to":"`+
		time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)+
		`"},"format":"csv","destination":"warehouse"}`, as...)
	eventually(o.t, "a try has failed", func() bool {
		return strings.Contains(o.stderrText(), `"export":"`)
	})
	o.hears(200, "GET", r.header.Get("Location"), "", as...)
	o.proxy.set(refuse)
	o.hears(201, "POST", "/v1/events", `{"usage":{"INPUT":1}}`, as...)
	o.hears(503, "GET", "/v2/gen-ai/agents/"+observedAgent+"/usage?start=2026-01-01T00:00:01Z", "", as...)
	eventually(o.t, "an insert has failed", func() bool {
		return o.metric("meterhouse_batch_insert_failures_total") != "0"
	})
	o.proxy.set(healthy)
	eventually(o.t, "it is stored", func() bool {
		return o.metric("meterhouse_log_pending_events") == "0"
	})
}

// operators asks what the listeners show of themselves.
func (o *observed) operators() {
	for _, address := range []string{
		"http://" + o.admin + "/metrics", "http://" + o.admin + "/readyz", o.url("/metrics"),
		"http://" + o.admin + "/debug/pprof/goroutine?debug=2",
		"http://" + o.admin + "/debug/pprof/heap?debug=1", "http://" + o.admin + "/debug/pprof/cmdline",
	} {
		answer, err := http.Get(address)
		if err != nil {
			o.t.Fatal(err)
		}
		_, err = io.Copy(&o.told, answer.Body)
		answer.Body.Close()
		if err != nil {
			o.t.Error(err)
		}
	}
}
