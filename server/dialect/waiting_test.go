package dialect

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
)

// looked is a connection that is asked for its client.
type looked struct {
	net.Conn
	gone *atomic.Bool
}

func (l looked) Gone() bool { return l.gone.Load() }

type lookedListener struct {
	net.Listener
	gone *atomic.Bool
}

func (l lookedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return looked{c, l.gone}, err
}

// TestWaitingEnds: after its time, with its client, and with the server.
func TestWaitingEnds(t *testing.T) {
	f := func(what string, d time.Duration, end func(*fiber.App, *atomic.Bool), want error) {
		t.Helper()
		var gone atomic.Bool
		began, ended := make(chan struct{}), make(chan error, 1)
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Get("/", func(c *fiber.Ctx) error {
			ctx, cancel := Waiting(c, d)
			defer cancel()
			close(began)
			select {
			case <-ctx.Done():
				ended <- ctx.Err()
			case <-time.After(10 * time.Second):
				ended <- errors.New("it never did")
			}
			return nil
		})
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- app.Listener(lookedListener{listener, &gone}) }()
		go func() {
			answer, err := http.Get("http://" + listener.Addr().String())
			if err == nil {
				_ = answer.Body.Close()
			}
		}()
		<-began
		end(app, &gone)
		if err := <-ended; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		_ = app.ShutdownWithTimeout(10 * time.Second)
		<-served
	}
	const long = time.Minute
	f("its time", 10*time.Millisecond, func(*fiber.App, *atomic.Bool) {}, context.DeadlineExceeded)
	f("its client", long, func(_ *fiber.App, gone *atomic.Bool) { gone.Store(true) },
		context.Canceled)
	f("the server", long, func(app *fiber.App, _ *atomic.Bool) {
		go func() { _ = app.ShutdownWithTimeout(10 * time.Second) }()
	}, context.Canceled)
}
