package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary be the bare reference, as bench starts its own binary for it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		con := console{out: os.Stdout, errs: os.Stderr, getenv: os.Getenv}
		os.Exit(run(context.Background(), con, os.Args[1:]))
	}
	os.Exit(m.Run())
}

const (
	tokenOfTests  = "dop_v1_test"
	memoriOfTests = "11111111-1111-4111-8111-111111111111"
	tenantOfTests = "www.acme.example"
)

// fakeEvent is an event as the server has it.
type fakeEvent struct {
	ID        string           `json:"id"`
	Time      time.Time        `json:"time"`
	Provider  string           `json:"provider"`
	Model     string           `json:"model"`
	Purpose   string           `json:"purpose"`
	APIName   string           `json:"api_name"`
	UsageData map[string]int64 `json:"usage"`
	agent     string
	copies    int64
}

// A fake behaves as the contract says a Meterhouse does, unless one of its hooks says otherwise.
type fake struct {
	*httptest.Server
	agents map[string]string // secret → id

	// intercept may answer a request by itself; it returns false to let the fake go on. stored
	// tells whether the events of the request are already in.
	intercept func(n int, w http.ResponseWriter, r *http.Request, accept func()) bool
	// copies says how often an event that is accepted is counted; 1 if nil.
	copies func(n int, e *fakeEvent) int64
	// reject says why an event is rejected; empty is accepted.
	reject func(e *fakeEvent) string
	// visibleAfter is how long after it was acknowledged an event is read.
	visibleAfter time.Duration

	mu       sync.Mutex
	events   []*fakeEvent
	arrived  []time.Time
	ids      map[string]bool
	requests int
	bodies   []string // of POST /v1/events, decoded, in the order of arrival
	encoding []string
}

func newFake(t *testing.T, agents ...agent) *fake {
	f := &fake{agents: map[string]string{}, ids: map[string]bool{}}
	for _, a := range agents {
		f.agents[a.secret] = a.id
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", f.postEvents)
	mux.HandleFunc("POST /external/resource-usage", f.postRaia)
	mux.HandleFunc("GET /v2/gen-ai/agents/{id}/usage", f.getUsage)
	mux.HandleFunc("GET /api/v2/MemoriConsumptionLogs/{token}/{id}/{kind}/{from}/{to}", f.getLogs)
	mux.HandleFunc("GET /api/v2/TenantConsumptionLogs/{token}/{id}/{kind}/{from}/{to}", f.getLogs)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "go_goroutines 5\nprocess_resident_memory_bytes 8.1e+07\n")
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) postEvents(w http.ResponseWriter, r *http.Request) {
	id, ok := f.agents[r.Header.Get("Agent-Secret-Key")]
	if !ok {
		problem(w, http.StatusUnauthorized, "unknown credential")
		return
	}
	body, err := decodedBody(r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	events, err := decodeFakeEvents(r.Header.Get("Content-Type"), body)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	f.mu.Lock()
	n := f.requests
	f.requests++
	f.bodies = append(f.bodies, string(body))
	f.encoding = append(f.encoding, r.Header.Get("Content-Encoding"))
	f.mu.Unlock()
	accept := func() { f.accept(id, events) }
	if f.intercept != nil && f.intercept(n, w, r, accept) {
		return
	}
	answer := f.accept(id, events)
	status := http.StatusCreated
	if answer.Accepted+answer.Duplicates == 0 {
		status = http.StatusUnprocessableEntity
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fake) accept(id string, events []*fakeEvent) eventsAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	var answer eventsAnswer
	for i, e := range events {
		if f.reject != nil {
			if why := f.reject(e); why != "" {
				answer.Rejected = append(answer.Rejected, struct {
					Index   int    `json:"index"`
					Field   string `json:"field"`
					Message string `json:"message"`
				}{i, "usage.INPUT", why})
				continue
			}
		}
		if e.ID != "" && f.ids[e.ID] {
			answer.Duplicates++
			continue
		}
		answer.Accepted++
		f.ids[e.ID] = true
		e.agent, e.copies = id, 1
		if e.Time.IsZero() {
			e.Time = time.Now().UTC()
		}
		if f.copies != nil {
			e.copies = f.copies(len(f.events), e)
		}
		f.events = append(f.events, e)
		f.arrived = append(f.arrived, time.Now())
	}
	return answer
}

func (f *fake) postRaia(w http.ResponseWriter, r *http.Request) {
	id, ok := f.agents[r.Header.Get("Agent-Secret-Key")]
	var body struct {
		Type   string
		Amount int64
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !ok {
		problem(w, http.StatusBadRequest, "bad request")
		return
	}
	f.accept(id, []*fakeEvent{{UsageData: map[string]int64{body.Type: body.Amount}}})
	w.WriteHeader(http.StatusCreated)
}

func decodedBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	zr, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zr)
}

func decodeFakeEvents(kind string, body []byte) ([]*fakeEvent, error) {
	decode := func(b []byte, into any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		return d.Decode(into)
	}
	var events []*fakeEvent
	switch {
	case kind == "application/x-ndjson":
		scanner := bufio.NewScanner(bytes.NewReader(body))
		for scanner.Scan() {
			e := new(fakeEvent)
			if err := decode(scanner.Bytes(), e); err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		return events, scanner.Err()
	case bytes.HasPrefix(body, []byte("[")):
		return events, decode(body, &events)
	default:
		e := new(fakeEvent)
		return []*fakeEvent{e}, decode(body, e)
	}
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"detail":%q}`,
		http.StatusText(status), status, detail)
}

// sum adds up the visible events that a filter keeps.
func (f *fake) sum(keep func(*fakeEvent) bool) map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := map[string]int64{}
	for i, e := range f.events {
		if time.Since(f.arrived[i]) < f.visibleAfter || !keep(e) {
			continue
		}
		for kind, quantity := range e.UsageData {
			sum[kind] += e.copies * quantity
		}
	}
	return sum
}

func (f *fake) getUsage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+tokenOfTests {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"id":"unauthorized","message":"Unable to authenticate you"}`)
		return
	}
	start, err1 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("start"))
	stop, err2 := time.Parse(time.RFC3339Nano, r.URL.Query().Get("stop"))
	if err1 != nil || err2 != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id := r.PathValue("id")
	sum := f.sum(func(e *fakeEvent) bool {
		return e.agent == id && !e.Time.Before(start) && !e.Time.After(stop)
	})
	type measurement struct {
		Tokens    int64  `json:"tokens"`
		UsageType string `json:"usage_type"`
	}
	measurements := []measurement{}
	for _, kind := range kinds(sum) {
		measurements = append(measurements, measurement{sum[kind], kind})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"log_insights_usage": map[string]any{"measurements": []measurement{}},
		"usage":              map[string]any{"measurements": measurements},
	})
}

func (f *fake) getLogs(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("token") != memoriOfTests {
		fmt.Fprint(w, `{"consumptionLogs":null,"resultCode":-101,"resultMessage":"no session"}`)
		return
	}
	from, to, id := r.PathValue("from"), r.PathValue("to"), r.PathValue("id")
	period := memoriDay
	if r.PathValue("kind") == "Monthly" {
		period, from, to = "200601", from[:6], to[:6]
	}
	sum := f.sum(func(e *fakeEvent) bool {
		at := e.Time.UTC().Format(period)
		mine := e.agent == id || id == tenantOfTests && strings.Contains(r.URL.Path, "/Tenant")
		return mine && at >= from && at <= to
	})
	text := func(kind string) map[string]string {
		// Two keys, for the sum is over all of them.
		return map[string]string{
			"OpenAI|||gpt-4o|$|QA": strconv.FormatInt(sum[kind]/3, 10),
			"OpenAI|||gpt-4o|$|DT": strconv.FormatInt(sum[kind]-sum[kind]/3, 10),
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"consumptionLogs": []any{map[string]any{
			"promptTokens": text("INPUT"), "completionTokens": text("OUTPUT"),
		}},
		"requestID": 1, "resultCode": 0, "resultMessage": "Ok",
	})
}

// reset closes the connection of a request with a reset instead of an answer.
func reset(t *testing.T, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("hijack: %v", err)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// write puts a file into a directory of the test's own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// traceText writes a trace of some lines, 40 ms apart and with sub-millisecond parts.
func traceText(lines int) string {
	var b strings.Builder
	b.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	at := time.Date(2023, 11, 16, 18, 17, 3, 979_960_000, time.UTC)
	for i := range lines {
		fmt.Fprintf(&b, "%s,%d,%d\n", at.Format("2006-01-02 15:04:05.0000000"), 1000+i, i%7)
		at = at.Add(40*time.Millisecond + 100*time.Nanosecond)
	}
	return b.String()
}

// command runs loadtest with its output caught.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e lockedBuffer
	con := console{out: &o, errs: &e, getenv: func(string) string { return "" }}
	code = run(t.Context(), con, args)
	return code, o.String(), e.String()
}

// A lockedBuffer may be written by a progress line and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
