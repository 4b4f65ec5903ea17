package dialect

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
)

// ReadBody returns the request's body, decoded as its Content-Encoding says (none, gzip or zstd).
// It holds at most schema.RequestBytesMax of it before and after decoding, however it inflates, and
// an organization that has its share of what bodies may take waits. The bytes are the caller's own
// and outlive the handler. Errors: TooLarge, Unsupported, Unreadable, Overloaded.
func ReadBody(c *fiber.Ctx, organization uuid.UUID) ([]byte, error) {
	return ReadBodyUpTo(c, organization, schema.RequestBytesMax)
}

// ReadBodyUpTo is ReadBody of at most max bytes. Those who have no organization, since they have
// shown no credential, share what bodies may take as if they were one.
func ReadBodyUpTo(c *fiber.Ctx, organization uuid.UUID, max int) ([]byte, error) {
	stream, _ := c.Locals(streamKey{}).(*Stream)
	if stream != nil {
		stream.organization = organization
	}
	body, err := bodyReader{stream, max}.read(c)
	if err != nil {
		return nil, err
	}
	return body, stream.serve(len(body), cap(body))
}

// ReadSmallBody is ReadBody for where a body has at most max bytes, few enough not to be counted:
// nobody needs to have shown a credential.
func ReadSmallBody(c *fiber.Ctx, max int) ([]byte, error) {
	return bodyReader{nil, max}.read(c)
}

// bodyReader reads a body of at most max bytes, and reserves room for it where it has a stream.
type bodyReader struct {
	stream *Stream
	max    int
}

func (b bodyReader) read(c *fiber.Ctx) ([]byte, error) {
	length := c.Request().Header.ContentLength()
	if length > b.max {
		return nil, b.tooLarge("after")
	}
	raw := rawBody(c)
	encoding := strings.ToLower(strings.TrimSpace(c.Get(fiber.HeaderContentEncoding)))
	switch encoding {
	case "", "identity":
		return b.all(raw, length)
	case "gzip", "x-gzip":
		return b.inflate(raw, length, b.gunzip)
	case "zstd":
		return b.inflate(raw, length, b.unzstd)
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

// growth is how much larger text is than its compressed form, as a rule.
const growth = 8

// all reads r to its end; sizeHint is the expected length, negative when not known.
func (b bodyReader) all(r io.Reader, sizeHint int) ([]byte, error) {
	const unknown = 4 << 10
	if sizeHint < 0 {
		sizeHint = unknown
	}
	var buf []byte
	for size := min(sizeHint, b.max) + 1; ; size = min(2*size, b.max+1) {
		if err := b.stream.reserve(size); err != nil {
			return nil, err
		}
		buf = append(make([]byte, 0, size), buf...)
		for len(buf) < size {
			n, err := r.Read(buf[len(buf):size])
			buf = buf[:len(buf)+n]
			switch e := (*schema.Error)(nil); {
			case errors.Is(err, io.EOF) && len(buf) <= b.max:
				return buf, nil
			case errors.As(err, &e):
				return nil, e
			case err != nil && !errors.Is(err, io.EOF):
				return nil, schema.Errorf(schema.Unreadable, "", "the body ended early")
			}
		}
		if len(buf) > b.max {
			return nil, b.tooLarge("after")
		}
	}
}

// encoded bounds a compressed body before it is decoded: members and frames of nothing at all may
// follow each other for ever.
type encoded struct {
	bodyReader
	r    io.Reader
	left int
}

func (e *encoded) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if e.left -= n; e.left < 0 {
		return 0, e.tooLarge("before")
	}
	return n, err
}

// inflate decodes a compressed body, which has come as a whole before anything is made of it.
func (b bodyReader) inflate(
	raw io.Reader, length int, decode func(compressed []byte) ([]byte, error),
) ([]byte, error) {
	compressed, err := b.all(&encoded{b, raw, b.max}, length)
	if err != nil {
		return nil, err
	}
	if err := b.stream.serve(b.max, cap(compressed)+b.max); err != nil { // it may become anything
		return nil, err
	}
	return decode(compressed)
}

func (b bodyReader) gunzip(compressed []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, b.undecodable("gzip", err)
	}
	defer zr.Close()
	body, err := b.all(zr, growth*len(compressed))
	if err != nil {
		return nil, b.undecodable("gzip", err)
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

func (b bodyReader) unzstd(compressed []byte) ([]byte, error) {
	decoder, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	body, err := decoder.DecodeAll(compressed, make([]byte, 0, min(growth*len(compressed), b.max)))
	if err != nil {
		return nil, b.undecodable("zstd", err)
	}
	if len(body) > b.max {
		return nil, b.tooLarge("after")
	}
	return body, nil
}

func (b bodyReader) tooLarge(when string) error {
	return schema.Errorf(schema.TooLarge, "", "the body must have at most %d bytes %s decoding",
		b.max, when)
}

func (b bodyReader) undecodable(encoding string, err error) error {
	e := (*schema.Error)(nil)
	if errors.As(err, &e) && (e.Kind == schema.TooLarge || e.Kind == schema.Overloaded) {
		return e
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return b.tooLarge("after")
	}
	return schema.Errorf(schema.Unreadable, "", "the body is not valid %s", encoding)
}
