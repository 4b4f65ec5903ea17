package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fault is what is wrong with a ClickHouse.
type fault int

const (
	healthy fault = iota
	refuse        // nobody listens
	hang          // requests are taken and never answered
	cut           // the connection breaks in the middle of an insert of events
	swallow       // an insert of events is done, and the connection breaks before the answer
)

func (f fault) String() string {
	return [...]string{"healthy", "refuse", "hang", "cut", "swallow"}[f]
}

// proxy stands before a ClickHouse and does its faults.
type proxy struct {
	t       testing.TB
	address string
	forward *httputil.ReverseProxy
	faults  atomic.Int64 // requests that met the fault

	mu     sync.Mutex
	fault  fault
	server *http.Server  // nil while nobody listens
	hung   chan struct{} // closed when hanging ends
}

// newProxy returns a healthy proxy before address.
func newProxy(t testing.TB, address string) *proxy {
	x := &proxy{t: t, address: stableAddress(t), hung: make(chan struct{})}
	x.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
		},
		Transport:    &http.Transport{MaxIdleConnsPerHost: 32},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(r *http.Response) error {
			if x.now() != swallow || !insertsEvents(r.Request) || r.StatusCode != http.StatusOK {
				return nil
			}
			_, _ = io.Copy(io.Discard, r.Body) // the engine is done when it has said all
			x.faults.Add(1)
			return errors.New("swallowed")
		},
	}
	x.listen()
	t.Cleanup(func() { x.set(refuse) })
	return x
}

func insertsEvents(r *http.Request) bool {
	return strings.Contains(r.URL.Query().Get("query"), "INSERT INTO usage_events")
}

func (x *proxy) now() fault {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fault
}

// set changes what is wrong. What hangs is cut off.
func (x *proxy) set(f fault) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = f
	x.faults.Store(0)
	close(x.hung)
	x.hung = make(chan struct{})
	switch {
	case f == refuse && x.server != nil:
		x.server.Close()
		x.server = nil
	case f != refuse && x.server == nil:
		x.listen()
	}
}

func (x *proxy) listen() {
	listener, err := net.Listen("tcp", x.address)
	if err != nil {
		x.t.Error(err)
		return
	}
	x.server = &http.Server{Handler: x}
	go x.server.Serve(listener)
}

func (x *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	fault, hung := x.fault, x.hung
	x.mu.Unlock()
	switch {
	case fault == hang:
		x.faults.Add(1)
		// A server sees that its client has gone only once it has read the body.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hung:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case fault == cut && insertsEvents(r):
		x.faults.Add(1)
		r.Body = &tornBody{r.Body, 1000}
	}
	x.forward.ServeHTTP(w, r)
}

// tornBody ends in an error after some bytes.
type tornBody struct {
	io.ReadCloser
	left int
}

func (b *tornBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// wantFault waits until requests have met the fault.
func (x *proxy) wantFault() {
	x.t.Helper()
	eventually(x.t, "a request meets the fault "+x.now().String(), func() bool {
		return x.faults.Load() > 0
	})
}

// startEngine runs `meterhouse engine` by itself, as a ClickHouse that is not serve's own.
func startEngine(t testing.TB) clickhouse {
	t.Helper()
	const password = "engine-password-of-the-test"
	ctx, stop := context.WithCancel(context.Background())
	p := newProgram(t, demoCatalog)
	cmd := p.command(ctx, "engine")
	cmd.Env = append(cmd.Env, "METERHOUSE_ENGINE_PASSWORD="+password)
	cmd.Stderr = &lockedWriter{&p.mu, &p.stderr}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "engine ready on ")
	if err != nil || !ok {
		t.Fatalf("engine says %q, %v\n%s", line, err, p.stderrText())
	}
	return clickhouse{address, password}
}

// dsn is how serve is told about a ClickHouse that is reached at an address.
func (c clickhouse) dsn(address string) string {
	return "http://default:" + c.password + "@" + address + "/default"
}
