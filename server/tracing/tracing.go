// Package tracing sends OpenTelemetry traces to a collector. Everybody else speaks the standard API:
// a trace begins with a tracer that was handed over, and goes on from the span in a context. Where
// no span is in a context, or it is not recorded, nothing is made and nothing allocated.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config is what a Tracing needs. All fields are required. Where the collector is and how much is
// sampled the OpenTelemetry library reads from its own variables, OTEL_….
type Config struct {
	Version  string // of the program
	Instance string // this run of it
	Logger   *slog.Logger
	Spans    *prometheus.CounterVec // of NewSpans
}

// queueMax bounds the spans that are ended and not sent.
const queueMax = 4096

// exportTimeout bounds one try; what it does not get done is lost, and counted.
const exportTimeout = 5 * time.Second

// Tracing is a tracer whose spans are sent in the background. A nil one traces nothing.
type Tracing struct {
	provider *sdk.TracerProvider
}

// Open begins to send. Nobody is connected to before there is something to send. The error is about
// the OTEL variables. A process has one Tracing: the library's own complaints are silenced, which
// may quote what the collector was sent.
func Open(ctx context.Context, c Config) (*Tracing, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "meterhouse"),
			attribute.String("service.version", c.Version),
			attribute.String("service.instance.id", c.Instance),
		), resource.WithFromEnv()) // OTEL_SERVICE_NAME has the last word
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	return newTracing(c, exporter, sdk.WithResource(described)), nil
}

func newTracing(c Config, exporter sdk.SpanExporter, more ...sdk.TracerProviderOption) *Tracing {
	q := newQueue(c, exporter)
	q.SpanProcessor = sdk.NewBatchSpanProcessor(q.counted(), sdk.WithMaxQueueSize(queueMax),
		sdk.WithExportTimeout(exportTimeout))
	return &Tracing{sdk.NewTracerProvider(
		append(more, sdk.WithSpanProcessor(q), sdk.WithRawSpanLimits(limits))...,
	)}
}

// limits are of one span.
var limits = sdk.SpanLimits{
	AttributeValueLengthLimit:   256,
	AttributeCountLimit:         32,
	EventCountLimit:             8,
	LinkCountLimit:              64,
	AttributePerEventCountLimit: 8,
	AttributePerLinkCountLimit:  8,
}

// Tracer returns what begins a trace; nil when nothing is traced.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("github.com/meterhouse/meterhouse")
}

// Stop sends what is left, until ctx ends.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}

// queue stands before a batch processor, which drops in silence what it has no room for: here what
// is dropped is counted, and the processor's own queue is never full.
type queue struct {
	sdk.SpanProcessor

	exporter sdk.SpanExporter
	logger   *slog.Logger
	inside   atomic.Int64 // spans that are ended, and neither sent nor lost
	failing  atomic.Bool
	exported prometheus.Counter
	failed   prometheus.Counter
	dropped  prometheus.Counter
}

// NewSpans returns what counts spans, at zero.
func NewSpans() *prometheus.CounterVec {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meterhouse_trace_spans_total",
		Help: "Spans by what became of them: exported, failed at the collector, or dropped " +
			"because too many waited.",
	}, []string{"result"})
	for _, result := range []string{"exported", "failed", "dropped"} {
		spans.WithLabelValues(result)
	}
	return spans
}

func newQueue(c Config, exporter sdk.SpanExporter) *queue {
	return &queue{
		exporter: exporter, logger: c.Logger,
		exported: c.Spans.WithLabelValues("exported"),
		failed:   c.Spans.WithLabelValues("failed"),
		dropped:  c.Spans.WithLabelValues("dropped"),
	}
}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.inside.Add(1) > queueMax {
		q.inside.Add(-1)
		q.dropped.Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

type counted struct{ *queue }

// counted returns the exporter, which says what became of what it was given.
func (q *queue) counted() sdk.SpanExporter { return counted{q} }

// ExportSpans implements sdk.SpanExporter. It returns no error: the library would print it, with the
// collector's address.
func (c counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.exporter.ExportSpans(ctx, spans)
	c.inside.Add(-int64(len(spans)))
	if err == nil {
		c.exported.Add(float64(len(spans)))
		if c.failing.Swap(false) {
			c.logger.Info("traces are taken again")
		}
		return nil
	}
	c.failed.Add(float64(len(spans)))
	if !c.failing.Swap(true) {
		c.logger.Warn("traces are not taken; look at OTEL_EXPORTER_OTLP_ENDPOINT and at the " +
			"collector's log: its answers may quote what they were sent, and are not shown here")
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (c counted) Shutdown(ctx context.Context) error { return c.exporter.Shutdown(ctx) }
