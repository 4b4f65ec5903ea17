package queries

import (
	"context"
	"net/http"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names who makes spans here.
const scope = "github.com/meterhouse/meterhouse/queries"

// begin begins the span of a statement, by its file's name, below the one in ctx; none is made where
// that is not recorded. ClickHouse hears of it too, for its own system.opentelemetry_span_log.
func begin(ctx context.Context, name string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "clickhouse"),
			attribute.String("db.query.summary", name)))
	return clickhouse.Context(ctx, clickhouse.WithSpan(span.SpanContext())), span
}

// Trace makes statements that answer nothing begin a trace where they are in nobody's: exports,
// retention and erasures are nobody's request. It is for before the first of them.
func (q *Queries) Trace(tracer trace.Tracer) { q.tracer = tracer }

// exec runs a statement that answers nothing, in a span of a name. It is the only place that calls
// Exec.
func (q *Queries) exec(ctx context.Context, name, statement string, args ...any) error {
	if q.tracer != nil && !trace.SpanFromContext(ctx).IsRecording() {
		var root trace.Span
		ctx, root = q.tracer.Start(ctx, "database work")
		defer root.End()
	}
	ctx, span := begin(ctx, name)
	err := q.conn.Exec(ctx, statement, args...)
	end(span, noRows, err)
	return err
}

// noRows is the rows of what answers none.
const noRows = -1

// end ends a span. What an error says may quote what was asked: only that there was one is told.
func end(span trace.Span, rows int, err error) {
	if !span.IsRecording() {
		return
	}
	if rows != noRows {
		span.SetAttributes(attribute.Int("db.response.returned_rows", rows))
	}
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// traceHTTP makes requests to ClickHouse's HTTP interface say which span they are of; over its own
// protocol the client does.
func traceHTTP(options *clickhouse.Options) {
	given := options.TransportFunc
	options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
		if given == nil {
			return tracedTransport{t}, nil
		}
		next, err := given(t)
		return tracedTransport{next}, err
	}
}

type tracedTransport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t tracedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace.SpanFromContext(r.Context()).IsRecording() {
		r = r.Clone(r.Context())
		propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	}
	return t.RoundTripper.RoundTrip(r)
}
