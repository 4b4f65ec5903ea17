package server

import (
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// always is a connection on which there is always something to read.
type always struct{ net.Conn }

func (always) Read(p []byte) (int, error) { return len(p), nil }

// TestObservingAllocatesNothing: what every request pays for being named, traced, counted and
// logged when nothing is traced and it did not fail. With the id copied from a slice it was 1 for
// its name; without the early returns for no error, 1 for its line and 1 for the kind; with the
// look for a TLS error at each read, 1 for that; with the library's look-up of its metric, 2.
func TestObservingAllocatesNothing(t *testing.T) {
	s := newServer(t)
	c := s.App().AcquireCtx(&fasthttp.RequestCtx{})
	defer s.App().ReleaseCtx(c)
	conn := &connection{Conn: always{}, raw: always{}}
	buffer := make([]byte, 16)
	f := func(what string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("its name", func() { dialect.NameRequest(c) })
	f("its trace", func() {
		if s.trace(c) != nil {
			t.Fatal("it is traced")
		}
	})
	f("its count", func() { s.requests.observe("POST", "/v1/events", 201, time.Millisecond) })
	f("its line", func() { s.log.ended(c, nil, 0) })
	f("the kind of no error", func() { _ = schema.KindOf(nil) })
	f("what is read of it", func() {
		if _, err := conn.Read(buffer); err != nil {
			t.Fatal(err)
		}
	})
}
