package dialect

import (
	"errors"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/fair"
)

// Bodies bounds what requests with more than a small body take in memory at once. It is safe for
// concurrent use.
type Bodies struct {
	read   *fair.Budget // the bodies, while they come and until their request ends
	served *fair.Budget // what is made of them; held only by requests whose body has come
}

// NewBodies returns bounds that together come to at most so many bytes. Half of it must be more
// than one request takes. On few processors less is served at once: more of an organization's large
// requests would gain it nothing, and be in the way of everybody's small ones.
func NewBodies(bytes int64) *Bodies {
	const largest = 16 << 20
	served := min(bytes/2, int64(runtime.GOMAXPROCS(0))*largest)
	return &Bodies{fair.NewBudget(bytes / 2), fair.NewBudget(served)}
}

// bodyWait is how long a body waits for others to be done before it is sent away.
const bodyWait = 3 * time.Second

type streamKey struct{}

// Stream is a request's body that may be large, or of which a part may still be on its connection.
// What of it is left there when the answer goes out would be read as the next request.
type Stream struct {
	r      io.Reader
	left   int // of a body whose length is known; negative: it is not
	client interface{ Ended() bool }
	ended  bool

	bodies       *Bodies
	organization uuid.UUID
	read, served int64 // taken of bodies

	conn   net.Conn
	came   int       // bytes
	paceAt int       // when so many came, the next have to
	end    time.Time // of the body's time
}

// prefetched is what fasthttp takes off the connection before it calls a handler.
const prefetched = 8 << 10

// TrackStream makes ReadBody read through the Stream it returns, which must be Released when the
// request ends; nil when the body is small and nothing of it can be left on the connection.
func TrackStream(c *fiber.Ctx, bodies *Bodies) *Stream {
	stream := c.Context().RequestBodyStream()
	h := &c.Request().Header
	length := h.ContentLength()
	if stream == nil || length >= 0 && length <= prefetched &&
		len(h.Peek(fiber.HeaderContentEncoding)) == 0 {
		return nil
	}
	s := &Stream{r: stream, left: length, bodies: bodies, conn: c.Context().Conn()}
	s.client, _ = s.conn.(interface{ Ended() bool })
	c.Locals(streamKey{}, s)
	return s
}

// Read reads until the body's end, and not once beyond it: behind a chunked body fasthttp would
// take the next request for a chunk. A body whose client went before its end gets
// io.ErrUnexpectedEOF, where fasthttp tells io.EOF, as if what had come were all of it.
func (s *Stream) Read(p []byte) (int, error) {
	if s.ended {
		return 0, io.EOF
	}
	s.pace()
	n, err := s.r.Read(p)
	s.came += n
	if s.left >= 0 {
		s.left -= n
	}
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	// Whoever has read a whole body asked nothing more of the connection, chunked or not.
	if s.left > 0 || s.client != nil && s.client.Ended() {
		return n, io.ErrUnexpectedEOF
	}
	s.ended = true
	return n, err
}

// Whoever has room reserved for a body has to send it: so many bytes in so much time, and all of it
// in the time that a request has anyway.
const (
	paceBytes = 64 << 10
	paceTime  = 5 * time.Second
	bodyTime  = 60 * time.Second
)

// pace ends the connection of a sender who is too slow.
func (s *Stream) pace() {
	if s.read == 0 || s.came < s.paceAt || s.conn == nil {
		return
	}
	now := time.Now()
	if s.end.IsZero() {
		s.end = now.Add(bodyTime)
	}
	s.paceAt = s.came + paceBytes
	by := now.Add(paceTime)
	if by.After(s.end) {
		by = s.end
	}
	_ = s.conn.SetReadDeadline(by) // of a connection that is gone
}

// reserve makes room for a body of n bytes. The error is Overloaded.
func (s *Stream) reserve(n int) error {
	if s == nil || s.bodies == nil || int64(n) <= s.read {
		return nil
	}
	if more := int64(n) - s.read; !s.bodies.read.Take(s.organization, more, bodyWait) {
		return tooManyBodies(s.bodies.read, s.organization, more)
	}
	s.read = int64(n)
	s.paceAt = s.came // it may have waited: its time begins now
	return nil
}

// serve makes room for what becomes of a body that was read: its encoding for the log, and its
// events, which are larger than the text of small ones. It may be called again when more is known
// of the body. The error is Overloaded.
func (s *Stream) serve(length, capacity int) error {
	const growth, eventsMax = 9, 6 << 20 // of a small event's text; of RequestEventsMax events
	if s == nil || s.bodies == nil {
		return nil
	}
	if err := s.reserve(capacity); err != nil {
		return err
	}
	s.bodies.read.Give(s.organization, s.read-int64(capacity))
	s.read = int64(capacity)
	n := int64(length) + min(growth*int64(length), eventsMax)
	if n <= s.served {
		s.bodies.served.Give(s.organization, s.served-n)
	} else if !s.bodies.served.Take(s.organization, n-s.served, bodyWait) {
		return tooManyBodies(s.bodies.served, s.organization, n-s.served)
	}
	s.served = n
	return nil
}

func tooManyBodies(budget *fair.Budget, organization uuid.UUID, amount int64) error {
	return &schema.Error{
		Kind:       schema.Overloaded,
		Message:    "too many large requests at once; nothing was accepted, try again",
		RetryAfter: budget.Later(organization, amount, bodyWait),
	}
}

// Release gives back what was reserved for the request.
func (s *Stream) Release() {
	if s.bodies == nil {
		return
	}
	s.bodies.read.Give(s.organization, s.read)
	s.bodies.served.Give(s.organization, s.served)
	s.read, s.served = 0, 0
}

// Drain discards what is left, at most max bytes, and reports whether that was all.
func (s *Stream) Drain(max int64) bool {
	_, _ = io.CopyN(io.Discard, s, max)
	return s.ended
}
