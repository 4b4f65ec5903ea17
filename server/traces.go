package server

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// carrier reads the headers by which a client says which trace a request belongs to.
type carrier struct{ c *fiber.Ctx }

func (h carrier) Get(key string) string { return strings.Clone(h.c.Get(key)) }
func (carrier) Set(string, string)      {}
func (carrier) Keys() []string          { return nil }

// trace begins a request's span, unless nothing is traced. What the span says is what the metrics
// say: a route's pattern, never a path, a query or a credential, which may hold secrets.
func (s *Server) trace(c *fiber.Ctx) trace.Span {
	if s.cfg.Tracer == nil {
		return nil
	}
	ctx := propagation.TraceContext{}.Extract(c.UserContext(), carrier{c})
	ctx, span := s.cfg.Tracer.Start(ctx, strings.Clone(c.Method()),
		trace.WithSpanKind(trace.SpanKindServer))
	c.SetUserContext(ctx)
	return span
}

// endTrace ends a request's span.
func (s *Server) endTrace(c *fiber.Ctx, span trace.Span) {
	if !span.IsRecording() {
		return
	}
	method, route, status := strings.Clone(c.Method()), routeOf(c), c.Response().StatusCode()
	span.SetName(method + " " + route)
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.String("http.route", route),
		attribute.Int("http.response.status_code", status),
		attribute.String("meterhouse.dialect", s.dialectOf(c.Path()).Name),
		attribute.String("meterhouse.request_id", dialect.RequestID(c)),
	)
	if status >= fiber.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
