package server

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// drainMax is how much of a refused body is read and thrown away, so that its sender, who is still
// sending, gets to see the answer. Beyond it the connection is closed.
const drainMax = 256 << 20

// observe names, counts and traces a request, says when it failed, and turns a panic into an
// internal error.
func (s *Server) observe(c *fiber.Ctx) (err error) {
	began := time.Now()
	dialect.NameRequest(c)
	span := s.trace(c)
	framing := checkFraming(c.Request().Header.RawHeaders())
	var stream *dialect.Stream
	if framing == nil {
		stream = dialect.TrackStream(c, s.bodies)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		failure := err
		if err != nil {
			err = s.writeError(c, err)
		}
		if e := s.holdAnswer(c); e != nil {
			failure, err = e, s.writeError(c, e)
		}
		if stream != nil {
			stream.Release()
		}
		if framing != nil || stream != nil && !stream.Drain(drainMax) {
			c.Context().SetConnectionClose()
		}
		took := time.Since(began)
		s.requests.observe(c.Method(), routeOf(c), c.Response().StatusCode(), took)
		s.log.ended(c, failure, took)
		if span != nil {
			s.endTrace(c, span)
		}
	}()
	if framing != nil {
		return framing
	}
	return c.Next()
}
