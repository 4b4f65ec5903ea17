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

// observe counts a request and turns a panic into an internal error.
func (s *Server) observe(c *fiber.Ctx) (err error) {
	began := time.Now()
	framing := checkFraming(c.Request().Header.RawHeaders())
	var stream *dialect.Stream
	if framing == nil {
		stream = dialect.TrackStream(c, s.bodies)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		if err != nil {
			err = s.writeError(c, err)
		}
		if stream != nil {
			stream.Release()
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
