package usage_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/usage"
)

// scripted is a dialect.Usage that answers by a function.
type scripted struct {
	dialect.Usage
	query func(ctx context.Context, each func(schema.UsageRow) error) error
}

func (s *scripted) Query(
	ctx context.Context, _ schema.UsageQuery, each func(schema.UsageRow) error,
) error {
	return s.query(ctx, each)
}

func (s *scripted) Version(context.Context, schema.UsageQuery) (string, error) { return "1", nil }

// leaver is a connection that knows whether its client left, as the server's own do.
type leaver struct {
	net.Conn
	gone *atomic.Bool
}

func (l leaver) Gone() bool { return l.gone.Load() }

type leavers struct {
	net.Listener
	gone *atomic.Bool
}

func (l leavers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return leaver{c, l.gone}, err
}

// log is what was logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// served is the dialect on a port.
type served struct {
	t      *testing.T
	url    string
	gone   atomic.Bool // whether clients are
	logged log
	usage  scripted
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{t: t}
	d := usage.New(dialect.Door{
		Access: doorman{catalogOfTwo()}, Usage: &s.usage, Now: func() time.Time { return today },
		Logger: slog.New(slog.NewTextHandler(&s.logged, nil)),
	})
	app := fiber.New(fiber.Config{ErrorHandler: d.WriteError, DisableStartupMessage: true})
	d.Mount(app)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	end := make(chan error, 1)
	go func() { end <- app.Listener(leavers{l, &s.gone}) }()
	t.Cleanup(func() {
		if err := errors.Join(app.Shutdown(), <-end); err != nil {
			t.Error(err)
		}
	})
	return s
}

const march = "/v1/usage/query?from=2026-03-29&to=2026-03-31&group_by=usage_type"

// get asks, and returns an answer whose body is not read.
func (s *served) get(more string) *http.Response {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+march+more, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer admin")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, // gzip would find an early end by itself
	}}
	answer, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// endless rows, until somebody has had enough.
func endless(each func(schema.UsageRow) error) error {
	for {
		if err := each(inputs()); err != nil {
			return err
		}
	}
}

func some(n int, each func(schema.UsageRow) error) error {
	for i := range n {
		row := inputs()
		row.Quantity = schema.WholeQuantity(int64(i) * 2654435761) // does not compress well
		if err := each(row); err != nil {
			return err
		}
	}
	return nil
}

// thousands of rows are more than is held.
const thousands = 5000

// TestAnswersStream: a part is there before the rest is made.
func TestAnswersStream(t *testing.T) {
	t.Parallel()
	s := serve(t)
	more := make(chan struct{})
	s.usage.query = func(_ context.Context, each func(schema.UsageRow) error) error {
		if err := some(thousands, each); err != nil {
			return err
		}
		<-more
		return some(1, each)
	}
	got := s.get("&format=ndjson")
	r := bufio.NewReader(got.Body)
	lines := 0
	for ; lines < thousands/2; lines++ {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(more)
	for ; ; lines++ {
		if _, err := r.ReadString('\n'); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if lines != thousands+1 {
		t.Errorf("%d lines", lines)
	}
}

// TestErrorsBreakAnAnswerOff: what is half is not taken for whole, in any format or encoding, and
// somebody hears why. A body stream writer of the HTTP library's, which cannot fail, ended the same
// answers as if they were whole.
func TestErrorsBreakAnAnswerOff(t *testing.T) {
	t.Parallel()
	s := serve(t)
	f := func(more string, fail func() error, logs string) {
		t.Helper()
		s.usage.query = func(_ context.Context, each func(schema.UsageRow) error) error {
			if err := some(14*thousands, each); err != nil {
				return err
			}
			return fail()
		}
		got := s.get(more)
		b, err := io.ReadAll(got.Body)
		if got.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
			t.Errorf("%s: %d, %d bytes, %v", more, got.StatusCode, len(b), err)
		}
		if text := s.logged.String(); logs != "" && !strings.Contains(text, logs) {
			t.Errorf("%s: logged %q", more, text)
		}
	}
	internal := func() error { return errors.New("cause-1") }
	f("", internal, "cause-1")
	f("&format=csv", func() error { panic("cause-2") }, "cause-2")
	for _, format := range []string{"ndjson", "parquet", "arrow"} {
		f("&format="+format, internal, "")
	}
	late := func() error { return schema.Errorf(schema.TooLarge, "", "too many rows") }
	f("", late, "")
	if text := s.logged.String(); strings.Contains(text, "too many rows") {
		t.Errorf("what the client asked too much of is logged: %s", text)
	}
}

// TestPanicsBeforeAnAnswer are told as any other, and do not end the process.
func TestPanicsBeforeAnAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.usage.query = func(context.Context, func(schema.UsageRow) error) error { panic("cause") }
	if got := s.get(""); got.StatusCode != 500 {
		t.Errorf("status %d", got.StatusCode)
	}
}

// TestWhoLeavesEndsTheQuestion: within a second its context does, while the question is still
// computing, while rows come, and between rows when half of the answer is sent. Without
// dialect.Waiting's look at the connection the first went on; without what body.Close does, the
// second.
func TestWhoLeavesEndsTheQuestion(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ended := make(chan error, 1)
	f := func(what string, query func(context.Context, func(schema.UsageRow) error) error) {
		t.Helper()
		s.gone.Store(false)
		asked := make(chan struct{})
		s.usage.query = func(ctx context.Context, each func(schema.UsageRow) error) error {
			close(asked)
			err := query(ctx, each)
			ended <- err
			return err
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET "+march+" HTTP/1.1\r\nHost: x\r\n"+
			"Authorization: Bearer admin\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-asked
		time.Sleep(50 * time.Millisecond) // for what is sent to be on its way
		left := time.Now()
		_ = conn.Close()
		s.gone.Store(true)
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s: the question ended by itself", what)
			}
			t.Logf("%s: %v after %v", what, err, time.Since(left))
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the question goes on", what)
		}
		if took := time.Since(left); took > 3*time.Second { // a second, on a machine that is busy
			t.Errorf("%s: took %v", what, took)
		}
	}
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	f("computing", func(ctx context.Context, _ func(schema.UsageRow) error) error {
		return wait(ctx)
	})
	f("rows come", func(_ context.Context, each func(schema.UsageRow) error) error {
		return endless(each)
	})
	f("between rows", func(ctx context.Context, each func(schema.UsageRow) error) error {
		if err := some(thousands, each); err != nil {
			return err
		}
		return wait(ctx)
	})
}

// TestConnectionsAreUsedAgain: an answer that was read leaves nothing behind that watches its
// connection.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.usage.query = func(ctx context.Context, each func(schema.UsageRow) error) error {
		return some(thousands, each)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 3 {
		if _, err := io.WriteString(conn, "GET "+march+" HTTP/1.1\r\nHost: x\r\n"+
			"Authorization: Bearer admin\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		if err != nil || !bytes.HasSuffix(b, []byte("]}")) {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	}
}
