package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// smallBody is what a body may have without being counted: the connections' own buffers hold it.
const smallBody = 64 << 10

// admitWait is how long a large request waits for others to be done before it is sent away.
const admitWait = 3 * time.Second

// admit bounds the bodies that are held at once.
func (s *Server) admit(c *fiber.Ctx) error {
	weight := bodyWeight(c)
	if weight == 0 {
		return c.Next()
	}
	ctx, cancel := context.WithTimeout(context.Background(), admitWait)
	defer cancel()
	if s.bodies.Acquire(ctx, weight) != nil {
		return &schema.Error{
			Kind:       schema.Overloaded,
			Message:    "too many large requests at once; nothing was accepted, try again",
			RetryAfter: time.Second,
		}
	}
	defer s.bodies.Release(weight)
	return c.Next()
}

// bodyWeight is what a request with a body may take in memory while it is served: the body and its
// encoding for the log, and its events, which are larger than the text of small ones. Where the
// length is not told, or says little because the body is compressed, it is the limit's.
func bodyWeight(c *fiber.Ctx) int64 {
	const growth, eventsMax = 9, 6 << 20 // of a small event's text; of RequestEventsMax events
	h := &c.Request().Header
	length := int64(h.ContentLength())
	encoded := len(h.Peek(fiber.HeaderContentEncoding)) > 0
	switch {
	case length < 0 && (c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead):
		return 0
	case length < 0, length > schema.RequestBytesMax, encoded && length > 0:
		length = schema.RequestBytesMax
	case length <= smallBody:
		return 0
	}
	return 2*length + min(growth*length, eventsMax)
}

// drainMax is how much of a refused body is read and thrown away, so that its sender, who is still
// sending, gets to see the answer. Beyond it the connection is closed.
const drainMax = 256 << 20

// observe counts a request and turns a panic into an internal error.
func (s *Server) observe(c *fiber.Ctx) (err error) {
	began := time.Now()
	framing := checkFraming(c.Request().Header.RawHeaders())
	var stream *dialect.Stream
	if framing == nil {
		stream = dialect.TrackStream(c)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		if err != nil {
			err = s.writeError(c, err)
		}
		if framing != nil || stream != nil && !stream.Drain(drainMax) {
			c.Context().SetConnectionClose()
		}
		s.requests.observe(c.Method(), routeOf(c), c.Response().StatusCode(), time.Since(began))
	}()
	if framing != nil {
		return framing
	}
	return c.Next()
}
