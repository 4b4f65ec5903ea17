package dialect

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
)

// goneInterval is how often a waiting client is looked after.
const goneInterval = 250 * time.Millisecond

// Client is the connection of a request's client.
type Client interface {
	// Hold calls give when the answer that is being made has been written, or never will be.
	Hold(give func())
}

type clientKey struct{}

// ClientOf returns who waits, of a context of Waiting's; nil where that is no connection of ours.
func ClientOf(ctx context.Context) Client {
	client, _ := ctx.Value(clientKey{}).(Client)
	return client
}

// Waiting returns a context for what a client waits for: it ends after d, when the client is gone,
// and when the server stops. It must be cancelled before the handler returns.
func Waiting(c *fiber.Ctx, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(c.UserContext(), d)
	client, _ := c.Context().Conn().(interface{ Gone() bool })
	if conn, ok := c.Context().Conn().(Client); ok {
		ctx = context.WithValue(ctx, clientKey{}, conn)
	}
	stopping := c.Context().Done()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		watch(ctx, stopping, client)
	}()
	return ctx, func() {
		cancel()
		<-watched // it looks at the connection, which is the next request's from now on
	}
}

// readTimeout is how long a client waits for what the database answers.
const readTimeout = 30 * time.Second

// Reading is Waiting for as long as a read may take: a client that goes ends its question, unless
// others wait for its answer.
func Reading(c *fiber.Ctx) (context.Context, context.CancelFunc) { return Waiting(c, readTimeout) }

func watch(ctx context.Context, stopping <-chan struct{}, client interface{ Gone() bool }) {
	tick := time.NewTicker(goneInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			return
		case <-tick.C:
			if client != nil && client.Gone() {
				return
			}
		}
	}
}
