package server

import (
	"context"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/fair"
)

// answers bounds what answers take in memory until their clients have read them. Whoever reads
// slowly, or not at all, has a share of it that is its organization's, and takes nobody else's.
type answers struct{ budget *fair.Budget }

const (
	answersBytesMax = 48 << 20
	answerSmall     = 8 << 10   // so many bytes are not counted
	answerEncoding  = 512 << 10 // what a stream takes beside its rows

	// answerWait is how long rows, and the answer to a write, wait for room; the write is done.
	answerWait = 3 * time.Second
)

func newAnswers() answers { return answers{fair.NewBudget(answersBytesMax)} }

// take takes room for n bytes of an organization's, until give is called. The error is Overloaded.
func (a answers) take(
	ctx context.Context, organization uuid.UUID, n int, wait time.Duration,
) (give func(), err error) {
	if n <= answerSmall {
		return func() {}, nil
	}
	amount := min(int64(n), answersBytesMax)
	if !a.budget.TakeUntil(ctx.Done(), organization, amount, wait) {
		return nil, &schema.Error{
			Kind:       schema.Overloaded,
			Message:    "too many large answers are not read yet; read them, or try again",
			RetryAfter: a.budget.Later(organization, amount, answerWait),
		}
	}
	return func() { a.budget.Give(organization, amount) }, nil
}

// room waits for room for what is about to be made of a read's answer, and keeps it until its client
// has that: many who wait for one question wake at once, and nobody makes more than there is room
// for. The error is Overloaded, or ctx's.
func (a answers) room(ctx context.Context, organization uuid.UUID, n int) error {
	const text = 2 // what is made of an answer takes about as much again
	client := dialect.ClientOf(ctx)
	if client == nil {
		return nil
	}
	give, err := a.take(ctx, organization, text*n, answerWait)
	if err == nil {
		client.Hold(give)
	}
	return err
}

// holdAnswer counts an answer that is made until its client has it. That of a read for which there
// is no room is not given; a write was done, and its answer says so where it has no room.
func (s *Server) holdAnswer(c *fiber.Ctx) error {
	if c.Response().IsBodyStream() { // holds what it takes by itself
		return nil
	}
	conn, ok := c.Context().Conn().(*connection)
	n := len(c.Response().Body())
	if !ok || n <= answerSmall || conn.held.Load() != nil {
		return nil
	}
	var organization uuid.UUID // who has shown no credential shares what is nobody's
	if caller, err := dialect.Authenticate(c, s.cfg.Directory); err == nil {
		organization = caller.Organization
	}
	reads := c.Method() == fiber.MethodGet
	wait := answerWait
	if reads {
		wait = 0
	}
	give, err := s.reads.answers.take(context.Background(), organization, n, wait)
	refused := (*schema.Error)(nil)
	switch {
	case err == nil:
		conn.Hold(give)
		return nil
	case reads || !errors.As(err, &refused):
		return err
	}
	return &schema.Error{
		Kind: schema.Unavailable,
		Message: "it was done, and its answer has no room: too many large answers are not read yet; " +
			"sending events with an id again counts nothing twice",
		RetryAfter: refused.RetryAfter,
	}
}
