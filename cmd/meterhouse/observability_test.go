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
// looks for connected traces, for request ids, and for every secret in all that it sent and logged,
// in what it answers to who is wrong, and in what operators see. With the path in the log's line and
// in the span, both held the login token; without Exporter.hide the log held a bucket's key.
func TestObservedAndNothingToldOfSecrets(t *testing.T) {
	t.Parallel()
	o := newObserved(t)
	o.use(`"usage":{"VAPI_SECONDS":90}`)
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	answer := o.do("GET", "/v1/usage/query?from="+o.hour.Format(time.RFC3339)+"&to="+
		o.hour.Add(time.Hour).Format(time.RFC3339)+"&granularity=hour", "",
		"Authorization", "Bearer "+billedToken, "X-Request-Id", "mine-1",
		"Traceparent", "00-"+parent+"-00f067aa0ba902b7-01")
	if id := answer.header.Get("X-Request-Id"); answer.status != 200 || id != "mine-1" {
		t.Errorf("%d, request id %q: %.200s", answer.status, id, answer.body)
	}
	r := o.hears(401, "GET", "/v1/usage/query", "", "Authorization", "Bearer wrong_"+canary,
		"X-Request-Id", "not fit\tfor a log")
	if id := r.header.Get("X-Request-Id"); len(id) != 36 {
		t.Errorf("request id %q", id)
	}
	o.ask("POST", "/v1/report/run", "", 200)
	o.credentials(t)
	o.console()
	o.bodies()
	o.fails()
	o.operators()
	o.stop()
	o.collector.wantTraces(t, parent)
	logged := o.stderrText()
	if !strings.Contains(logged, `"request_id":"mine-1"`) ||
		!strings.Contains(logged, `"trace_id":"`+parent+`"`) {
		t.Error("the log does not name the request and its trace")
	}
	for where, text := range map[string]string{
		"the traces": o.collector.bytes.String(), "the log": logged, "an answer": o.told.String(),
	} {
		for _, secret := range o.secrets {
			if before, after, found := strings.Cut(text, secret); found {
				t.Errorf("%s hold the secret %s: %s (here) %s", where, secret,
					before[max(0, len(before)-300):], after[:min(len(after), 100)])
			}
		}
	}
}

// wantTraces looks for the way of a write, a read and a report, and for the client's own trace.
func (c *collector) wantTraces(t *testing.T, parent string) {
	t.Helper()
	for _, pair := range [][2]string{
		{"POST /v1/events", "log append"},
		{"GET /v1/usage/query", "usage"},
		{"insert batch", "insert_events"},
		{"POST /v1/report/run", "report"},
		{"report", "stripe POST /v1/billing/meter_events"},
		{"database work", "export_events_s3"},
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
}
