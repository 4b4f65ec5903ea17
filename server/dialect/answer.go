package dialect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	// heldMax is how much of an answer is held before it begins: of what is not larger, errors are
	// told as problems. Beyond it they break the connection, so that nobody takes half for whole.
	heldMax = 64 << 10
	// smallMax is what compressing would not make much smaller.
	smallMax = 1 << 10
	// answerTimeout bounds the whole of an answer, however slowly its client reads: it is about as
	// long as the server writes to anyone.
	answerTimeout = 2 * time.Minute
)

// Encodings of answers.
const (
	Identity = ""
	Gzip     = "gzip"
	Zstd     = "zstd"
)

// answer is an answer while it is made, by a goroutine of its own.
type answer struct {
	encoding string
	held     []byte // all of it so far, unless it is streamed

	pipe    *io.PipeWriter
	encoder io.WriteCloser // into pipe, when there is one
	reader  *io.PipeReader

	streamed chan struct{} // closed when the answer is larger than what is held
	done     chan struct{} // closed when it is at its end; err is set then
	err      error
	stop     context.CancelFunc
	logger   *slog.Logger
	request  string // its id
}

// Respond answers a request with what write makes, in a goroutine of its own, which is ended when the
// client goes. What is small is sent as a whole, and its error returned; of the rest a part is sent
// while the next is made, and an error breaks the connection. The headers are the caller's to set,
// in begin, which is called once it is known that there is an answer. encoding is one of Identity,
// Gzip and Zstd; the door's Logger hears of what was broken off.
func (d Door) Respond(
	c *fiber.Ctx, encoding string, begin func(), write func(context.Context, io.Writer) error,
) error {
	ctx, stop := Waiting(c, answerTimeout)
	a := &answer{
		encoding: encoding, streamed: make(chan struct{}), done: make(chan struct{}), stop: stop,
		logger: d.Logger, request: RequestID(c),
	}
	a.reader, a.pipe = io.Pipe()
	go a.make(ctx, write)
	select {
	case <-a.streamed:
		begin()
		a.sayEncoding(c)
		c.Context().SetBodyStream(&body{a}, -1) // whoever closes it waits for the goroutine
		return nil
	case <-a.done:
	}
	stop()
	if a.err != nil {
		return a.err
	}
	begin()
	return a.sendHeld(c)
}

func (a *answer) sayEncoding(c *fiber.Ctx) {
	if a.encoding != Identity {
		c.Set(fiber.HeaderContentEncoding, a.encoding)
	}
}

// sendHeld sends an answer that is all there.
func (a *answer) sendHeld(c *fiber.Ctx) error {
	if len(a.held) < smallMax || a.encoding == Identity {
		return c.Send(a.held)
	}
	a.sayEncoding(c)
	w, err := newEncoder(c.Response().BodyWriter(), a.encoding)
	if err != nil {
		return err
	}
	_, err = w.Write(a.held)
	return errors.Join(err, w.Close())
}

// make makes the answer. What goes wrong once a part of it is on its way is logged here, since
// nobody returns it.
func (a *answer) make(ctx context.Context, write func(context.Context, io.Writer) error) {
	defer close(a.done)
	a.err = a.whole(ctx, write)
	if a.isHeld() {
		return
	}
	if a.err != nil && schema.KindOf(a.err) == schema.Internal && ctx.Err() == nil &&
		a.logger != nil {
		a.logger.Error("answer broken off", "request_id", a.request, "error", a.err)
	}
	_ = a.pipe.CloseWithError(a.err) // it has no error
}

func (a *answer) isHeld() bool {
	select {
	case <-a.streamed:
		return false
	default:
		return true
	}
}

// whole writes everything. A panic would end the process: no handler's recover is above it.
func (a *answer) whole(
	ctx context.Context, write func(context.Context, io.Writer) error,
) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if err := write(ctx, a); err != nil {
		return err
	}
	if a.encoder != nil {
		return a.encoder.Close()
	}
	return nil
}

// Write implements io.Writer for the maker.
func (a *answer) Write(p []byte) (int, error) {
	if a.isHeld() {
		if len(a.held)+len(p) <= heldMax {
			a.held = append(a.held, p...)
			return len(p), nil
		}
		if err := a.stream(); err != nil {
			return 0, err
		}
	}
	return a.out().Write(p)
}

// stream begins to send.
func (a *answer) stream() error {
	if a.encoding != Identity {
		var err error
		if a.encoder, err = newEncoder(a.pipe, a.encoding); err != nil {
			return err
		}
	}
	held := a.held
	a.held = nil
	close(a.streamed)
	_, err := a.out().Write(held)
	return err
}

func (a *answer) out() io.Writer {
	if a.encoder != nil {
		return a.encoder
	}
	return a.pipe
}

// zstdWindow bounds what an encoder keeps of each answer that is under way.
const zstdWindow = 256 << 10

func newEncoder(w io.Writer, encoding string) (io.WriteCloser, error) {
	if encoding == Gzip {
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest))
}

// body is the streamed part of an answer, as the server reads it.
type body struct{ *answer }

func (b *body) Read(p []byte) (int, error) { return b.reader.Read(p) }

var errNotRead = errors.New("answer: the client is gone")

// Close ends the answer, wherever it is, and returns when its maker has: the connection is the next
// request's then.
func (b *body) Close() error {
	_ = b.reader.CloseWithError(errNotRead) // it has no error
	b.stop()
	<-b.done
	return nil
}
