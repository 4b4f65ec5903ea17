package server_test

import (
	"bytes"
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// nowhere takes every batch at once: what is measured here ends with the log.
type nowhere struct{}

func (nowhere) InsertEvents(context.Context, string, *queries.EventBatch) error { return nil }

// BenchmarkOneEvent measures requests of one event, from the client's bytes to the acknowledgement:
// by one connection, which waits for the disk each time, and by 128, which share its syncs. The
// client allocates nothing; cpu-ns/op is what client and server took of all processors.
func BenchmarkOneEvent(b *testing.B) {
	h := dialecttest.New(b)
	n := h.Start(b, dialecttest.NodeConfig{Store: nowhere{}})
	secret := h.Acme.MembersAgent.Token
	for _, dialect := range []struct{ name, path, body string }{
		{"native", "/v1/events", `{"model":"` + h.Acme.Model() +
			`","usage":{"INPUT":1200,"OUTPUT":350}}`},
		{"raia", "/external/resource-usage", `{"type":"OPENAI_TOKENS","amount":4567}`},
	} {
		request := dialecttest.Request{
			Method: "POST", Path: dialect.path, Body: dialect.body,
			Header: []string{"Agent-Secret-Key", secret, "Content-Type", "application/json"},
		}.Bytes()
		b.Run(dialect.name+"/one", func(b *testing.B) {
			c := dial(b, n.Address)
			c.send(b, request)
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				c.send(b, request)
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
		b.Run(dialect.name+"/many", func(b *testing.B) {
			b.SetParallelism(64)
			b.ReportAllocs()
			before := cpu()
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, n.Address)
				for pb.Next() {
					c.send(b, request)
				}
			})
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the processor time this process has had, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// raw is a client that only looks whether an answer is a 2xx, and where it ends.
type raw struct {
	net.Conn
	answer []byte
}

func dial(b *testing.B, address string) *raw {
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return &raw{c, make([]byte, 4096)}
}

func (r *raw) send(b *testing.B, request []byte) {
	if _, err := r.Write(request); err != nil {
		b.Error(err)
		return
	}
	have := 0
	for {
		n, err := r.Read(r.answer[have:])
		have += n
		if err != nil {
			b.Error(err)
			return
		}
		if whole(r.answer[:have]) {
			break
		}
	}
	if !bytes.HasPrefix(r.answer, []byte("HTTP/1.1 2")) {
		b.Errorf("%.300s", r.answer[:have])
	}
}

// whole reports whether an answer is: its Content-Length says so.
func whole(answer []byte) bool {
	head, body, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !ok {
		return false
	}
	_, value, _ := bytes.Cut(head, []byte("Content-Length: "))
	length := 0
	for _, digit := range value {
		if digit < '0' || digit > '9' {
			break
		}
		length = 10*length + int(digit-'0')
	}
	return len(body) >= length
}
