package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/access"
)

func newServer(t *testing.T) *Server {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	s, err := New(Config{
		Directory: access.NewDirectory(nil, logger), Logger: logger,
		Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestStopMayComeFirst stops a server at any moment around its start: Serve returns all the same.
func TestStopMayComeFirst(t *testing.T) {
	for i := range 100 {
		s, l := newServer(t), listen(t)
		served := make(chan error, 1)
		if i%2 == 0 {
			go func() { served <- s.Serve(l) }()
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			go func() { served <- s.Serve(l) }()
		}
		select {
		case err := <-served:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a stopped server serves on")
		}
		if answer, err := http.Get("http://" + l.Addr().String() + "/healthz"); err == nil {
			answer.Body.Close()
			t.Fatal("a stopped server answers")
		}
	}
}

func TestCheckFraming(t *testing.T) {
	f := func(headers string, ok bool) {
		t.Helper()
		if err := checkFraming([]byte(headers)); (err == nil) != ok {
			t.Errorf("checkFraming(%q): %v", headers, err)
		}
	}
	f("", true)
	f("Host: a\r\n\r\n", true)
	f("Content-Length: 5\r\n\r\n", true)
	f("Host: a\r\ncontent-length:5\r\n\r\n", true)
	f("TRANSFER-ENCODING: Chunked\r\n\r\n", true)
	f("X-Content-Length: 5\r\nContent-Length: 5\r\n\r\n", true)
	f("Content-Length-X: 5\r\nContent-Length: 5\r\n\r\n", true)
	f("Te: trailers\r\nTransfer-Encoding: chunked \r\n\r\n", true)
	f("Content-Length: 5\r\nContent-Length: 5\r\n\r\n", false)
	f("Content-Length: 5\nContent-Length: 6\n\n", false)
	f("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false)
	f("transfer-encoding: chunked\r\nContent-Length: 0\r\n\r\n", false)
	f("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false)
	f("Transfer-Encoding: identity\r\n\r\n", false)
	f("Transfer-Encoding: gzip, chunked\r\n\r\n", false)
	f("Transfer-Encoding:\r\n chunked\r\n\r\n", false)
	f("Transfer-Encoding: x\r\n\r\n", false)
}

func BenchmarkCheckFraming(b *testing.B) {
	headers := []byte("Host: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n" +
		"Agent-Secret-Key: agent-secret-1\r\nContent-Type: application/json\r\n" +
		"Content-Length: 38\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if err := checkFraming(headers); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatStoppingCutsOffMayBeTriedAgain: a reader whose record was waited for when the node stopped
// was told 500, and the log that a request had failed.
func TestWhatStoppingCutsOffMayBeTriedAgain(t *testing.T) {
	s := newServer(t)
	s.App().Get("/v1/waits", func(*fiber.Ctx) error {
		return fmt.Errorf("usage_record: %w", context.Canceled)
	})
	answer, err := s.App().Test(httptest.NewRequest("GET", "/v1/waits", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
}
