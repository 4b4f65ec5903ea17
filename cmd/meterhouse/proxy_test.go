package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is what is wrong with a ClickHouse, or with what lies between.
type fault int

const (
	healthy      fault = iota
	refuse             // nobody listens
	hang               // requests are taken and never answered
	cut                // the connection breaks in the middle of an insert of events
	swallow            // an insert of events is done, and the connection breaks before the answer
	lie                // it is done, and the answer is an error
	half               // an answer ends in its middle; an insert is done
	reset              // headers are answered and the connection is reset; an insert is done
	trickle            // everything passes, a little at a time
	bare               // status 500, and no word from ClickHouse
	unavailable        // status 503, by what stands before ClickHouse
	garbage            // status 200 and bytes that are nothing, by the same
	tooManyParts       // ClickHouse refuses inserts of events, for each of these reasons
	outOfMemory
	readOnly
	mixed // each insert of events meets another of these

	faultsEnd
)

func (f fault) String() string {
	return [...]string{
		"healthy", "refuse", "hang", "cut", "swallow", "lie", "half", "reset", "trickle", "bare 500",
		"503", "garbage", "too many parts", "out of memory", "read only", "mixed",
	}[f]
}

// ofInserts are the faults that only inserts of events meet.
var ofInserts = []fault{cut, swallow, lie, tooManyParts, outOfMemory, readOnly}

// mixture is what inserts meet, one after the other, while the fault is mixed. Every other one
// gets through, late: a retry must find what an earlier try left.
var mixture = []fault{
	swallow, trickle, tooManyParts, cut, trickle, lie, half, outOfMemory, trickle, reset, bare,
}

// canned is an answer in ClickHouse's place.
type canned struct {
	status int
	code   string // of ClickHouse's exception; none: it is not ClickHouse who answers
	body   string
}

var cannedAnswers = map[fault]canned{
	bare:        {500, "", "Internal Server Error"},
	unavailable: {503, "", "<html><body><h1>503 Service Unavailable</h1></body></html>"},
	garbage:     {200, "", "\x00\x17\xff<html>sign in to the hotel's network\x00\x00\x01\x80"},
	tooManyParts: {500, "252", "Code: 252. DB::Exception: Too many parts (3000 with average size of " +
		"1.00 KiB). Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)"},
	outOfMemory: {500, "241", "Code: 241. DB::Exception: (total) memory limit exceeded: would use " +
		"7.21 GiB, maximum: 7.20 GiB. (MEMORY_LIMIT_EXCEEDED)"},
	readOnly: {500, "242", "Code: 242. DB::Exception: Table is in readonly mode. " +
		"(TABLE_IS_READ_ONLY)"},
	lie: {500, "159", "Code: 159. DB::Exception: Timeout exceeded: elapsed 60.1 seconds. " +
		"(TIMEOUT_EXCEEDED)"},
}

// proxy stands before a ClickHouse and does its faults.
type proxy struct {
	t       testing.TB
	address string
	forward *httputil.ReverseProxy
	faults  atomic.Int64 // requests that met the fault
	turn    atomic.Int64 // of the mixture
	met     atomic.Int64 // requests that met any fault, since the start

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
	inserts := insertsEvents(r)
	if fault == mixed && inserts {
		fault = mixture[int(x.turn.Add(1))%len(mixture)]
		x.faults.Add(1)
		x.met.Add(1)
	}
	if fault == healthy || fault == mixed || !inserts && slices.Contains(ofInserts, fault) {
		x.forward.ServeHTTP(w, r)
		return
	}
	x.faults.Add(1)
	x.met.Add(1)
	switch fault {
	case hang:
		// A server sees that its client has gone only once it has read the body.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hung:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case cut:
		r.Body = &tornBody{r.Body, 1000}
		x.forward.ServeHTTP(w, r)
	case swallow, lie, half, reset:
		x.spoil(w, r, fault)
	case trickle:
		r.Body = &slowBody{r.Body}
		x.forward.ServeHTTP(w, r)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		cannedAnswers[fault].send(w)
	}
}

func (c canned) send(w http.ResponseWriter) {
	if c.code != "" {
		w.Header().Set("X-ClickHouse-Exception-Code", c.code)
	}
	w.WriteHeader(c.status)
	_, _ = io.WriteString(w, c.body)
}

// spoil lets ClickHouse do what it is asked and spoils its answer. What fails is answered whole.
func (x *proxy) spoil(w http.ResponseWriter, r *http.Request, f fault) {
	answer := httptest.NewRecorder()
	x.forward.ServeHTTP(answer, r)
	maps.Copy(w.Header(), answer.Header())
	body := answer.Body.Bytes()
	switch {
	case answer.Code != http.StatusOK:
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
		return
	case f == lie:
		w.Header().Del("Content-Length")
		cannedAnswers[lie].send(w)
		return
	case f == half && len(body) > 1:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
	case f == half || f == reset:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
	}
	if f == reset {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset, not an end
			_ = c.Close()
		}
	}
	panic(http.ErrAbortHandler)
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

// slowBody passes 64 KiB a time, at some 3 MB/s.
type slowBody struct{ io.ReadCloser }

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return b.ReadCloser.Read(p[:min(len(p), 64<<10)])
}

// wantFault waits until requests have met the fault.
func (x *proxy) wantFault() {
	x.t.Helper()
	eventually(x.t, "a request meets the fault "+x.now().String(), func() bool {
		return x.faults.Load() > 0
	})
}

// standalone is `meterhouse engine` by itself: a ClickHouse that is not serve's own.
type standalone struct {
	clickhouse
	program *program
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has
}

// startEngine runs an engine until the test ends.
func startEngine(t testing.TB) *standalone {
	t.Helper()
	s := &standalone{
		clickhouse{stableAddress(t), "engine-password-of-the-test"}, newProgram(t, demoCatalog), nil, nil,
	}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// start starts it, at its first address at every time.
func (s *standalone) start() {
	t, p := s.program.t, s.program
	t.Helper()
	cmd := p.command(context.Background(), "engine", "--listen", s.address)
	cmd.Env = append(cmd.Env, "METERHOUSE_ENGINE_PASSWORD="+s.password)
	cmd.Stderr = &lockedWriter{&p.mu, &p.stderr}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.cmd = cmd
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "engine ready on "+s.address {
		t.Fatalf("engine says %q, %v\n%s", line, err, p.stderrText())
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it was killed
	}()
}

// kill is kill -9.
func (s *standalone) kill() {
	if s.cmd != nil && s.ended != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// died reports whether it has ended by itself.
func (s *standalone) died() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// dsn is how serve is told about a ClickHouse that is reached at an address.
func (c clickhouse) dsn(address string) string {
	return "http://default:" + c.password + "@" + address + "/default"
}
