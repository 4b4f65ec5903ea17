package otlp_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestExporterWaitsForAFullLog fills the log while the database is down: the exporter is told to
// come back, does, and every one of its spans counts once.
func TestExporterWaitsForAFullLog(t *testing.T) {
	h := dialecttest.New(t)
	ledger, err := queries.Open(t.Context(), queries.Config{Options: h.Database.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ledger.Close() })
	store := &dialecttest.Switch{Behind: ledger}
	store.Down.Store(true)
	node := h.Start(t, dialecttest.NodeConfig{Store: store, LogBytesMax: 2000})
	fill := func() int {
		for accepted := 0; ; accepted++ {
			r := post(h.Acme.Admin.Secret(schema.AccessToken), body("1", "filler"))
			got := node.Do(t, r)
			if got.Status == 429 {
				return accepted
			}
			if got.Status != 200 || accepted > 1000 {
				t.Fatalf("%d accepted: %v", accepted, got)
			}
		}
	}
	filled := fill()

	const back = 300 * time.Millisecond
	time.AfterFunc(back, func() { store.Down.Store(false) })
	exporter, err := otlptracehttp.New(t.Context(),
		otlptracehttp.WithEndpointURL(node.URL("/v1/traces")),
		otlptracehttp.WithHeaders(map[string]string{"Agent-Secret-Key": h.Acme.MembersAgent.Token}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Millisecond, MaxInterval: time.Millisecond,
			MaxElapsedTime: time.Minute,
		}))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := exporter.ExportSpans(t.Context(), chats(3)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("the exporter took %v: it was not told to wait a second", took)
	}
	node.Flush(t)
	if got := node.Accepted(t); got != filled+3 {
		t.Errorf("%d events, want %d and 3", got, filled)
	}
	h.Rows(t) // none of them twice
}

// chats returns spans of calls to a model, as an SDK hands them to its exporter.
func chats(n int) []sdktrace.ReadOnlySpan {
	stubs := make(tracetest.SpanStubs, n)
	for i := range stubs {
		id := uuid.New()
		stubs[i] = tracetest.SpanStub{
			Name: "chat", EndTime: time.Now(),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID(id), SpanID: trace.SpanID{byte(i + 1)},
			}),
			Attributes: []attribute.KeyValue{attribute.Int("gen_ai.usage.input_tokens", 7)},
		}
	}
	return stubs.Snapshots()
}
