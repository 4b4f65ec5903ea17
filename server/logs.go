package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// slowRequest is what a request takes that is worth a line.
const slowRequest = 10 * time.Second

// Lines about requests that were refused for now, or slow, are bounded: in an outage there are as
// many as requests, and the log's disk may be the one that is full.
const (
	warningsEvery = time.Second
	warningsBurst = 10
)

// requestLog writes at most one line about a request, and none about an ordinary one.
type requestLog struct {
	logger   *slog.Logger
	access   bool // ordinary ones too
	warnings *rate.Limiter
	leftOut  atomic.Int64 // warnings since the last one
}

func newRequestLog(logger *slog.Logger, access bool) *requestLog {
	return &requestLog{
		logger: logger, access: access,
		warnings: rate.NewLimiter(rate.Every(warningsEvery), warningsBurst),
	}
}

// ended is called when a request is answered; err is why it failed, nil when it did not. Paths,
// queries and headers are not logged: they may hold secrets.
func (l *requestLog) ended(c *fiber.Ctx, err error, took time.Duration) {
	status := c.Response().StatusCode()
	level, message := slog.LevelInfo, "request"
	switch {
	case isOurs(err):
		level, message = slog.LevelError, "request failed"
	case schema.KindOf(err) == schema.Unavailable || errors.Is(err, context.Canceled):
		level, message = slog.LevelWarn, "request was not served"
	case took >= slowRequest:
		level, message, err = slog.LevelWarn, "request was slow", nil
	case !l.access:
		return
	default:
		err = nil // whoever asked was told
	}
	attributes := append(aboutRequest(c), "status", status, "seconds", took.Seconds())
	if err != nil {
		attributes = append(attributes, "error", err)
	}
	if level == slog.LevelWarn {
		if !l.warnings.Allow() {
			l.leftOut.Add(1)
			return
		}
		if n := l.leftOut.Swap(0); n > 0 {
			attributes = append(attributes, "left_out", n)
		}
	}
	l.logger.Log(c.Context(), level, message, attributes...)
}

// isOurs reports whether a request failed for a reason that its client can do nothing about. The
// status does not tell: in Memori's API it is 200.
func isOurs(err error) bool {
	if err == nil {
		return false
	}
	e := (*fiber.Error)(nil)
	return !errors.Is(err, context.Canceled) && !errors.As(err, &e) &&
		schema.KindOf(err) == schema.Internal
}

// aboutRequest names a request in the log.
func aboutRequest(c *fiber.Ctx) []any {
	attributes := []any{
		"request_id", dialect.RequestID(c), "method", strings.Clone(c.Method()), "route", routeOf(c),
	}
	if span := trace.SpanContextFromContext(c.UserContext()); span.IsValid() {
		attributes = append(attributes, "trace_id", span.TraceID().String())
	}
	return attributes
}
