package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// roomyServer answers every GET with a page for which it takes room, of the organization that the
// path names.
func roomyServer(t *testing.T, a answers) (address string) {
	t.Helper()
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	page := strings.Repeat("x", 8<<20)
	app.Get("/:organization", func(c *fiber.Ctx) error {
		ctx, cancel := dialect.Waiting(c, time.Minute)
		defer cancel()
		organization := uuid.NewSHA1(uuid.Nil, []byte(c.Params("organization")))
		if err := a.room(ctx, organization, len(page)/2); err != nil {
			return c.SendStatus(http.StatusTooManyRequests)
		}
		return c.SendString(page)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go app.Listener(newListener(l, nil)) // until the app is shut down
	t.Cleanup(func() { _ = app.ShutdownWithTimeout(time.Second) })
	return l.Addr().String()
}

// ask asks on a connection of its own and reads no more than the status.
func ask(t *testing.T, address, organization string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte("GET /" + organization + " HTTP/1.1\r\nHost: m\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(c, first); err != nil {
		t.Fatal(err)
	}
	if string(first) != "HTTP/1.1 200" {
		t.Errorf("%s is answered %s", organization, first)
	}
	return c
}

// TestWhoDoesNotReadTakesNobodysRoom has an organization ask and not read. It is refused in the end,
// another is not, and what was held is given back when its clients are gone. Without room
// nobody is refused, and 2,500 clients of 200 KB took 588 MiB and kept a write waiting for 30 s.
func TestWhoDoesNotReadTakesNobodysRoom(t *testing.T) {
	t.Parallel()
	a := newAnswers()
	address := roomyServer(t, a)
	var greedy []net.Conn
	for range 5 { // of 8 MiB each: seven eighths of 48 are 42
		greedy = append(greedy, ask(t, address, "greedy"))
	}
	none := func() {}
	take := func(organization string, n int) (func(), error) {
		return a.take(context.Background(), uuid.NewSHA1(uuid.Nil, []byte(organization)), n, 0)
	}
	if give, err := take("greedy", 8<<20); schema.KindOf(err) != schema.Overloaded {
		t.Errorf("a sixth answer that is not read: %v", err)
		give()
	}
	give, err := take("modest", 4<<20)
	if err != nil {
		t.Errorf("another organization's answer: %v", err)
		give = none
	}
	give()
	for _, c := range greedy {
		_ = c.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		give, err := take("greedy", answersBytesMax)
		if err == nil {
			give()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what clients held who are gone is not given back")
		}
	}
}
