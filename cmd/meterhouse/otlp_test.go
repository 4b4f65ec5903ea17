package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// OpenTelemetry's own SDK and exporter for Go against the program as it runs, with the names of
// attributes that OpenTelemetry publishes: an agent that is instrumented with it is metered by
// environment variables alone.

// tracedAgents are the first two of the demo's catalog.
var tracedAgents = [...]struct{ id, secret string }{
	{"12345678-1234-4234-8234-123456789012", "demo-agent-secret-1"},
	{"22345678-1234-4234-8234-123456789012", "demo-agent-secret-2"},
}

func TestOpenTelemetryExporter(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	want := map[string]int64{
		"INPUT": 1000 + 40, "CACHED_INPUT": 960, "CACHE_WRITE": 200, "OUTPUT": 50 + 80, "REASONING": 20,
	}
	for i, protocol := range []string{"http/protobuf", "http/json"} {
		agent := tracedAgents[i]
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", []string{"gzip", "none"}[i])
			setExporter(t, p.url(""), "Agent-Secret-Key="+agent.secret)
			spans := runAgent(t, newExporter(t))
			if len(spans) != 5 {
				t.Fatalf("%d spans ended", len(spans))
			}
			sameUsage(t, "exported", p, agent.id, want)
			if err := newExporter(t).ExportSpans(t.Context(), spans); err != nil {
				t.Error(err)
			}
			sameUsage(t, "exported again", p, agent.id, want)
		})
	}
	p.verify()
}

// TestOpenTelemetryExporterTriesAgain loses the answer to an export, and refuses the next one.
func TestOpenTelemetryExporterTriesAgain(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	target, err := url.Parse(p.url(""))
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	forward := httputil.NewSingleHostReverseProxy(target)
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) {
		case 1:
			lost := httptest.NewRecorder()
			forward.ServeHTTP(lost, r)
			if lost.Code != http.StatusOK {
				t.Errorf("the export whose answer is lost: %d", lost.Code)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	defer lossy.Close()
	setExporter(t, lossy.URL, "Agent-Secret-Key="+tracedAgents[0].secret)
	runAgent(t, newExporter(t))
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
	sameUsage(t, "after three tries", p, tracedAgents[0].id, map[string]int64{
		"INPUT": 1000 + 40, "CACHED_INPUT": 960, "CACHE_WRITE": 200, "OUTPUT": 50 + 80, "REASONING": 20,
	})
	p.verify()
}

// TestOpenTelemetryExporterHearsOfRejections: what is not counted is told, and not tried again.
func TestOpenTelemetryExporterHearsOfRejections(t *testing.T) {
	p := newProgram(t, demoCatalog)
	p.start()
	setExporter(t, p.url(""), "Authorization=Bearer%20dop_v1_demo_ada")
	stubs := tracetest.SpanStubs{{
		Name: "chat", EndTime: time.Now(),
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
		}),
		Attributes: []attribute.KeyValue{semconv.GenAIUsageInputTokens(-1)},
	}}
	err := newExporter(t).ExportSpans(t.Context(), stubs.Snapshots())
	if err == nil || !strings.Contains(err.Error(), "1 of 1 spans with usage were rejected: "+
		"span 0200000000000000: gen_ai.usage.input_tokens: must not be negative") {
		t.Errorf("%v", err)
	}
	setExporter(t, p.url(""), "Authorization=Bearer%20nobody")
	err = newExporter(t).ExportSpans(t.Context(), stubs.Snapshots())
	if err == nil || !strings.Contains(err.Error(), "unknown or revoked credential") {
		t.Errorf("%v", err)
	}
}

// setExporter sets what an operator sets in an agent's environment.
func setExporter(t *testing.T, endpoint, headers string) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
}

// newExporter returns an exporter as the environment says. Only its patience is the test's.
func newExporter(t *testing.T) *otlptrace.Exporter {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithRetry(
		otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 10 * time.Millisecond,
			MaxInterval: 100 * time.Millisecond, MaxElapsedTime: 30 * time.Second,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exporter.Shutdown(context.Background()) })
	return exporter
}

// runAgent is an agent's run as instrumentations trace it: around two calls to a model and a tool
// there is a span with the sum of their tokens. It returns the spans once they are exported.
func runAgent(t *testing.T, exporter sdktrace.SpanExporter) []sdktrace.ReadOnlySpan {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithSpanProcessor(recorder),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("support"))),
	)
	tracer := provider.Tracer("agent")
	span := func(ctx context.Context, name string, attributes ...attribute.KeyValue,
	) (context.Context, trace.Span) {
		return tracer.Start(ctx, name, trace.WithAttributes(attributes...))
	}
	ctx, run := span(t.Context(), "invoke_agent Helper", semconv.GenAIOperationNameInvokeAgent,
		semconv.GenAIProviderNameOpenAI, semconv.GenAIAgentName("Helper"))
	_, first := span(ctx, "chat gpt-4o-mini", semconv.GenAIOperationNameChat,
		semconv.GenAIProviderNameOpenAI, semconv.GenAIRequestModel("gpt-4o-mini"),
		semconv.GenAIResponseModel("gpt-4o-mini-2024-07-18"),
		semconv.GenAIUsageInputTokens(1000), semconv.GenAIUsageOutputTokens(50))
	first.End()
	toolContext, tool := span(ctx, "execute_tool weather", semconv.GenAIOperationNameExecuteTool)
	_, call := span(toolContext, "GET", semconv.HTTPRequestMethodGet)
	call.End()
	tool.End()
	_, second := span(ctx, "chat gpt-4o-mini", semconv.GenAIOperationNameChat,
		semconv.GenAIProviderNameOpenAI, semconv.GenAIRequestModel("gpt-4o-mini"),
		semconv.GenAIUsageInputTokens(1200), semconv.GenAIUsageCacheReadInputTokens(960),
		semconv.GenAIUsageCacheCreationInputTokens(200), semconv.GenAIUsageOutputTokens(100),
		attribute.Int("gen_ai.usage.reasoning.output_tokens", 20))
	second.End()
	run.SetAttributes(semconv.GenAIUsageInputTokens(2200), semconv.GenAIUsageOutputTokens(150))
	run.End()
	if err := provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return recorder.Ended()
}

// sameUsage reads an agent's usage back through DigitalOcean's route, once everything that was
// acknowledged is stored.
func sameUsage(t *testing.T, when string, p *program, agent string, want map[string]int64) {
	t.Helper()
	const token = "Bearer dop_v1_demo_ada"
	r := p.do("POST", "/usage", `{"api_name":"last","endpoint":"/","units_used":0,"cost_usd":0,`+
		`"api_key_used":"none"}`, "Authorization", token)
	var last struct {
		ID string `json:"usage_id"`
	}
	if err := json.Unmarshal(r.body, &last); err != nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := p.do("GET", "/usage/"+last.ID, "", "Authorization", token); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r = p.do("GET", "/v2/gen-ai/agents/"+agent+"/usage", "", "Authorization", token)
	var usage struct {
		Usage struct {
			Measurements []struct {
				Tokens    int64
				UsageType string `json:"usage_type"`
			}
		}
	}
	if err := json.Unmarshal(r.body, &usage); err != nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	got := map[string]int64{}
	for _, m := range usage.Usage.Measurements {
		got[m.UsageType] = m.Tokens
	}
	same(t, when, got, want)
}
