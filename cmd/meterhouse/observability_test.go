package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// collector takes traces as OpenTelemetry's own does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []ptrace.Span
	bytes bytes.Buffer // all that was sent
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		all, err := io.ReadAll(body)
		request := ptraceotlp.NewExportRequest()
		if err == nil {
			err = request.UnmarshalProto(all)
		}
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bytes.Write(all)
		for _, r := range request.Traces().ResourceSpans().All() {
			for _, s := range r.ScopeSpans().All() {
				for _, span := range s.Spans().All() {
					c.spans = append(c.spans, span)
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// child returns whether a span of a name, or of one that begins with it, is below one of another.
func (c *collector) child(below, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.spans, func(s ptrace.Span) bool {
		return strings.HasPrefix(s.Name(), name) && slices.ContainsFunc(c.spans, func(p ptrace.Span) bool {
			return p.SpanID() == s.ParentSpanID() && p.TraceID() == s.TraceID() &&
				strings.HasPrefix(p.Name(), below)
		})
	})
}

// TestObservedAndNothingToldOfSecrets runs a node that is traced, logs everything and reports, and
// looks for connected traces, for request ids, and for every secret in all that it sent and logged.
func TestObservedAndNothingToldOfSecrets(t *testing.T) {
	t.Parallel()
	b := newBilled(t)
	c := newCollector(t)
	b.env = append(b.env,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=50",
		"METERHOUSE_LOG_LEVEL=debug", "METERHOUSE_LOG_FORMAT=json", "METERHOUSE_ACCESS_LOG=true",
		"METERHOUSE_JWT_SECRET=jwt-"+strings.Repeat(canary, 4))
	b.start()
	b.use(`"usage":{"VAPI_SECONDS":90}`)
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	answer := b.do("GET", "/v1/usage/query?from="+b.hour.Format(time.RFC3339)+"&to="+
		b.hour.Add(time.Hour).Format(time.RFC3339)+"&granularity=hour", "",
		"Authorization", "Bearer "+billedToken, "X-Request-Id", "mine-1",
		"Traceparent", "00-"+parent+"-00f067aa0ba902b7-01")
	if id := answer.header.Get("X-Request-Id"); answer.status != 200 || id != "mine-1" {
		t.Errorf("%d, request id %q: %.200s", answer.status, id, answer.body)
	}
	b.ask("POST", "/v1/report/run", "", 200)
	var wrong strings.Builder
	for _, header := range []string{"Bearer wrong_" + canary, "Basic " + canary} {
		r := b.do("GET", "/v1/usage/query?key="+canary, "", "Authorization", header,
			"X-Request-Id", "not fit\tfor a log")
		wrong.Write(r.body)
		if id := r.header.Get("X-Request-Id"); r.status != 401 || len(id) != 32 {
			t.Errorf("%d, request id %q", r.status, id)
		}
	}
	b.stop()
	for _, pair := range [][2]string{
		{"POST /v1/events", "log append"},
		{"GET /v1/usage/query", "usage"},
		{"insert batch", "insert_events"},
		{"POST /v1/report/run", "report"},
		{"report", "stripe POST /v1/billing/meter_events"},
	} {
		if !c.child(pair[0], pair[1]) {
			t.Errorf("no span %q below %q", pair[1], pair[0])
		}
	}
	links, joined, names := 0, false, []string{}
	for _, s := range c.spans {
		names = append(names, s.Name())
		if s.Name() == "insert batch" {
			links += s.Links().Len()
		}
		joined = joined || s.TraceID().String() == parent
	}
	if links == 0 || !joined {
		t.Errorf("%d links to requests; in the client's trace: %v; spans %q", links, joined, names)
	}
	logged := b.stderrText()
	if !strings.Contains(logged, `"request_id":"mine-1"`) ||
		!strings.Contains(logged, `"trace_id":"`+parent+`"`) {
		t.Error("the log does not name the request and its trace")
	}
	for _, secret := range []string{canary, billedToken} {
		for where, text := range map[string]string{
			"the traces": c.bytes.String(), "the log": logged, "an answer": wrong.String(),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s hold the secret %s", where, secret)
			}
		}
	}
}
