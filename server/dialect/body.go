package dialect

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
)

// ReadBody returns the request's body, decoded as its Content-Encoding says (none, gzip or zstd).
// It holds at most schema.RequestBytesMax of it before and after decoding, however it inflates.
// The bytes are the caller's own and outlive the handler. Errors: TooLarge, Unsupported,
// Unreadable.
func ReadBody(c *fiber.Ctx) ([]byte, error) {
	length := c.Request().Header.ContentLength()
	if length > schema.RequestBytesMax {
		return nil, tooLarge("after")
	}
	raw := rawBody(c)
	encoding := strings.ToLower(strings.TrimSpace(c.Get(fiber.HeaderContentEncoding)))
	switch encoding {
	case "", "identity":
		return readBounded(raw, length)
	case "gzip", "x-gzip":
		return gunzip(raw)
	case "zstd":
		return unzstd(raw, length)
	}
	return nil, schema.Errorf(schema.Unsupported, fiber.HeaderContentEncoding,
		"must be gzip, zstd or absent")
}

// rawBody reads the body as it came. fiber's own Body() is not used: on a decoding error it
// returns the error's text as the body, and it inflates without a bound.
func rawBody(c *fiber.Ctx) io.Reader {
	if tracked, ok := c.Locals(streamKey{}).(*Stream); ok {
		return tracked
	}
	if stream := c.Context().RequestBodyStream(); stream != nil {
		return stream
	}
	return bytes.NewReader(c.Request().Body())
}

type streamKey struct{}

// Stream is the part of a request's body that is still on its connection. What of it is left
// there when the answer goes out would be read as the next request.
type Stream struct {
	r      io.Reader
	left   int // of a body whose length is known; negative: it is not
	client interface{ Ended() bool }
	ended  bool
}

// prefetched is what fasthttp takes off the connection before it calls a handler.
const prefetched = 8 << 10

// TrackStream makes ReadBody read through the Stream it returns; nil when nothing of the body
// can be left on the connection.
func TrackStream(c *fiber.Ctx) *Stream {
	stream := c.Context().RequestBodyStream()
	if length := c.Request().Header.ContentLength(); stream == nil ||
		length >= 0 && length <= prefetched {
		return nil
	}
	s := &Stream{r: stream, left: c.Request().Header.ContentLength()}
	s.client, _ = c.Context().Conn().(interface{ Ended() bool })
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
	n, err := s.r.Read(p)
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

// Drain discards what is left, at most max bytes, and reports whether that was all.
func (s *Stream) Drain(max int64) bool {
	_, _ = io.CopyN(io.Discard, s, max)
	return s.ended
}

// readBounded reads r to its end; sizeHint is the expected length, negative when not known.
func readBounded(r io.Reader, sizeHint int) ([]byte, error) {
	if sizeHint < 0 {
		sizeHint = 512
	}
	buf := bytes.NewBuffer(make([]byte, 0, sizeHint+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(r, schema.RequestBytesMax+1))
	if n > schema.RequestBytesMax {
		return nil, tooLarge("after")
	}
	if err != nil {
		if e := (*schema.Error)(nil); errors.As(err, &e) {
			return nil, e
		}
		return nil, schema.Errorf(schema.Unreadable, "", "the body ended early")
	}
	return buf.Bytes(), nil
}

// encoded bounds a compressed body before it is decoded: members and frames of nothing at all may
// follow each other for ever.
type encoded struct {
	r    io.Reader
	left int
}

func (e *encoded) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if e.left -= n; e.left < 0 {
		return 0, tooLarge("before")
	}
	return n, err
}

func gunzip(raw io.Reader) ([]byte, error) {
	zr, err := gzip.NewReader(&encoded{raw, schema.RequestBytesMax})
	if err != nil {
		return nil, undecodable("gzip", err)
	}
	defer zr.Close()
	body, err := readBounded(zr, -1)
	if err != nil {
		return nil, undecodable("gzip", err)
	}
	return body, nil
}

// zstdWindowMax is what RFC 8878 asks every decoder to take, and no encoder to ask for more.
const zstdWindowMax = 8 << 20

// zstdDecoder is shared: it has a decoder for each processor, whoever comes later waits. A window
// takes no memory of its own, because a body is decoded as a whole.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(schema.RequestBytesMax), zstd.WithDecoderMaxWindow(zstdWindowMax))
})

func unzstd(raw io.Reader, length int) ([]byte, error) {
	compressed, err := readBounded(&encoded{raw, schema.RequestBytesMax}, length)
	if err != nil {
		return nil, err
	}
	decoder, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	const growth = 8 // of text, as a rule
	size := min(growth*len(compressed), schema.RequestBytesMax)
	body, err := decoder.DecodeAll(compressed, make([]byte, 0, size))
	if err != nil {
		return nil, undecodable("zstd", err)
	}
	return body, nil
}

func tooLarge(when string) error {
	return schema.Errorf(schema.TooLarge, "", "the body must have at most %d bytes %s decoding",
		schema.RequestBytesMax, when)
}

func undecodable(encoding string, err error) error {
	if e := (*schema.Error)(nil); errors.As(err, &e) && e.Kind == schema.TooLarge {
		return e
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return tooLarge("after")
	}
	return schema.Errorf(schema.Unreadable, "", "the body is not valid %s", encoding)
}
