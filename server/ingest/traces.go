package ingest

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names who makes spans here.
const scope = "github.com/meterhouse/meterhouse/server/ingest"

// traceAppend begins the span of a request's way through the queue and the log, below that of the
// request; none is made where that is not recorded.
func traceAppend(ctx context.Context, r *request) trace.Span {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return noop.Span{}
	}
	_, span := parent.TracerProvider().Tracer(scope).Start(ctx, "log append",
		trace.WithAttributes(attribute.Int("meterhouse.events", len(r.ends)),
			attribute.Int("meterhouse.bytes", len(r.data))))
	r.span = span.SpanContext()
	return span
}

func endSpan(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// A batch has a trace of its own, which names some of the requests whose events are in it.
const (
	linksMax  = 32  // of one batch
	tracedMax = 256 // requests that are remembered until their batch is made
)

// tracedRequests are those of the newest entries of the log that are traced.
type tracedRequests struct {
	mu  sync.Mutex
	all []tracedRequest
}

type tracedRequest struct {
	index uint64 // of its entry
	span  trace.SpanContext
}

// add notes the requests of an entry.
func (t *tracedRequests) add(index uint64, group []*request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range group {
		if r.span.IsValid() && len(t.all) < tracedMax {
			t.all = append(t.all, tracedRequest{index, r.span})
		}
	}
}

// take returns links to requests of the entries up to one, and forgets all of those.
func (t *tracedRequests) take(upTo uint64) (links []trace.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := t.all[:0]
	for _, r := range t.all {
		switch {
		case r.index > upTo:
			rest = append(rest, r)
		case len(links) < linksMax:
			links = append(links, trace.Link{SpanContext: r.span})
		}
	}
	t.all = rest
	return links
}

// traceBatch begins the trace of one try to insert a batch, unless nothing is traced.
func (b *batcher) traceBatch(ctx context.Context, f *batch) (context.Context, trace.Span) {
	tracer := b.in.cfg.Tracer
	if tracer == nil {
		return ctx, noop.Span{}
	}
	if f.links == nil {
		f.links = b.in.traced.take(f.to)
	}
	return tracer.Start(ctx, "insert batch", trace.WithLinks(f.links...),
		trace.WithAttributes(attribute.Int64("meterhouse.events", f.events),
			attribute.Int("meterhouse.rows", f.rows.Rows())))
}
