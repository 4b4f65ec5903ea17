package billing

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names who makes spans here.
const scope = "github.com/meterhouse/meterhouse/billing"

// begin begins a span below the one in ctx, else, where there is a tracer, a trace.
func (r *Reporter) begin(ctx context.Context, name string) (context.Context, trace.Span) {
	if parent := trace.SpanFromContext(ctx); parent.IsRecording() {
		return parent.TracerProvider().Tracer(scope).Start(ctx, name)
	}
	if r.cfg.Tracer == nil {
		return ctx, noop.Span{}
	}
	return r.cfg.Tracer.Start(ctx, name)
}

// endSpan ends a span. What an error says may name customers: only that there was one is told.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// beginCall begins the span of a call of Stripe, below the one in ctx; none where that is not
// recorded.
func beginCall(ctx context.Context, method, path string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	template := pathTemplate(path)
	return parent.TracerProvider().Tracer(scope).Start(ctx, "stripe "+method+" "+template,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("http.request.method", method),
			attribute.String("url.template", template)))
}

// endCall ends it with what came back.
func (c *Client) endCall(span trace.Span, r reply) {
	if !span.IsRecording() {
		return
	}
	if r.status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", r.status),
			attribute.String("stripe.request_id", c.redact.line(r.header.Get("Request-Id"))))
	}
	if r.err != nil || r.refusal != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// pathWords are the parts of Stripe's paths that are no ids.
var pathWords = []string{
	"", "v1", "v2", "core", "billing", "events", "event_summaries", "invoices", "lines",
	"meter_events", "meters", "subscription_items", "usage_record_summaries", "usage_records",
}

// pathTemplate returns a path without its ids.
func pathTemplate(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if !slices.Contains(pathWords, part) {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
