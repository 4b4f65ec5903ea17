// Package dialecttest is the suite that every wire dialect passes: on a real engine, the real
// write path and a real TCP listener, it attacks a dialect's routes with what strangers,
// neighbours and broken clients send.
package dialecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/console"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/exports"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/retention"
)

// patience is what a test waits for before it calls something hanging.
const patience = 30 * time.Second

// Harness is a server on a loopback port, over a database of its own with two organizations and
// some of their usage.
type Harness struct {
	*Node
	Database     *schematest.Database
	Acme, Globex *Organization

	queries   *queries.Queries
	directory *access.Directory
}

// New starts a Harness. It ends with the test.
func New(t testing.TB) *Harness {
	t.Helper()
	h := &Harness{
		Database: schematest.New(t),
		Acme:     newOrganization("acmeonly"),
		Globex:   newOrganization("globexonly"),
	}
	h.queries = h.open(t, h.Database)
	var catalog schema.Catalog
	h.Acme.addTo(&catalog)
	h.Globex.addTo(&catalog)
	h.directory = access.NewDirectory(h.queries, slog.New(slog.DiscardHandler))
	if err := h.directory.Change(t.Context(), "test",
		func(*access.Snapshot) (access.Change, error) {
			return access.Change{Upsert: catalog}, nil
		}); err != nil {
		t.Fatal(err)
	}
	h.Node = h.Start(t, NodeConfig{})
	for _, o := range []*Organization{h.Acme, h.Globex} {
		receipt, err := h.ingest.Record(t.Context(), o.usage(time.Now()), true)
		if err != nil || len(receipt.Rejected) > 0 {
			t.Fatalf("seed: %+v, %v", receipt, err)
		}
	}
	h.Flush(t)
	return h
}

func (h *Harness) open(t testing.TB, d *schematest.Database) *queries.Queries {
	t.Helper()
	q, err := queries.Open(t.Context(), queries.Config{Options: d.Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// Rows returns how many rows the ledger has, once everything acknowledged is in it. A row that is
// there twice fails the test.
func (h *Harness) Rows(t testing.TB) string {
	t.Helper()
	h.Flush(t)
	counts := h.Database.Strings(`SELECT toString(count()),
		toString(uniqExact(organization_id, event_id, revision, entry, ordinal)) FROM usage_events`)
	all, distinct, _ := strings.Cut(counts[0], " ")
	if all != distinct {
		t.Errorf("the ledger has %s rows, of which %s differ", all, distinct)
	}
	return all
}

// NodeConfig is what makes a Node another than the usual.
type NodeConfig struct {
	Store       ingest.Store     // nil: the database
	Queries     *queries.Queries // where reads ask; nil: the database
	LogBytesMax int64            // zero: the default
	Now         func() time.Time // the dialects' clock; nil: time.Now

	Buckets map[string]exports.Bucket // that exports may go to
	Console console.Config            // how the console is reached
}

// Node is one server with a log of its own.
type Node struct {
	Address string
	Log     *Log // everything it logs, from debug level on
	Metrics *prometheus.Registry

	ingest *ingest.Ingest
	client *http.Client
}

// Start starts another node on the same database and catalog. It ends with the test.
func (h *Harness) Start(t testing.TB, c NodeConfig) *Node {
	t.Helper()
	n := &Node{
		Log:     &Log{},
		Metrics: prometheus.NewRegistry(),
		client:  &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	if c.Store == nil {
		c.Store = h.queries
	}
	if c.Queries == nil {
		c.Queries = h.queries
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	logger := slog.New(slog.NewTextHandler(n.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	n.ingest, err = ingest.Open(ingest.Config{
		Dir: t.TempDir(), Store: c.Store, Snapshot: h.directory.Snapshot, Now: time.Now,
		Logger: logger, Metrics: n.Metrics, LogBytesMax: c.LogBytesMax,
		BatchAge: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.ingest.Start()
	corrector := corrections.New(corrections.Config{
		Queries: c.Queries, Snapshot: h.directory.Snapshot, Flush: n.ingest.Flush,
		Now: time.Now, Logger: logger, Metrics: n.Metrics,
	})
	corrector.Start()
	t.Cleanup(corrector.Stop)
	reporter, err := newReporter(c, logger, n.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	saved := newExporter(t, c, n, logger)
	s, err := server.New(server.Config{
		Exports: saved,
		Erasures: retention.NewEraser(retention.EraserConfig{
			Queries: c.Queries, Directory: h.directory, Flush: n.ingest.Flush, Exports: saved,
			Now: c.Now, Logger: logger,
		}),
		Directory: h.directory, Ingest: n.ingest, Corrections: corrector, Queries: c.Queries,
		Reports: reporter, Logger: logger, Metrics: n.Metrics, Now: c.Now, Console: c.Console,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.Address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		n.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(s.Stop(ctx), <-served, n.ingest.Stop(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return n
}

// newExporter returns a running maker of exports, with a folder of its own.
func newExporter(
	t testing.TB, c NodeConfig, n *Node, logger *slog.Logger,
) *exports.Exporter {
	saved := exports.New(exports.Config{
		Dir: filepath.Join(t.TempDir(), "exports"), Queries: c.Queries, Node: n.ingest.Node(),
		Now: time.Now, Logger: logger, Metrics: n.Metrics, Buckets: c.Buckets,
		Look: time.Hour, // what is asked for is made at once
	})
	saved.Start()
	t.Cleanup(saved.Stop)
	return saved
}

// newReporter returns a reporter whose Stripe is not there.
func newReporter(
	c NodeConfig, logger *slog.Logger, metrics *prometheus.Registry,
) (*billing.Reporter, error) {
	client, err := billing.NewClient(billing.ClientConfig{
		Key: "sk_test_harness", WebhookSecret: "whsec_harness", Base: "http://127.0.0.1:1",
		Now: c.Now, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	return billing.New(billing.Config{
		Queries: c.Queries, Stripe: client, Mode: schema.Preaggregated, Writer: uuid.New(),
		Now: c.Now, Logger: logger, Metrics: metrics,
	})
}

// URL returns the address of a path.
func (n *Node) URL(path string) string { return "http://" + n.Address + path }

// Flush returns when everything acknowledged is in the database.
func (n *Node) Flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.ingest.Flush(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

// Accepted returns how many events the node has acknowledged as new.
func (n *Node) Accepted(t testing.TB) int {
	t.Helper()
	families, err := n.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "meterhouse_events_accepted_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatal("no count of accepted events")
	return 0
}

// Request is what a client sends. Its Path goes out as it is, escapes and query included.
type Request struct {
	Method string
	Path   string
	Header []string // names and values in turn
	Body   string
}

// With returns the request with headers added.
func (r Request) With(header ...string) Request {
	r.Header = append(append([]string(nil), r.Header...), header...)
	return r
}

// Bytes returns the request as it travels. Header may say how the body is framed; otherwise a
// body has a Content-Length.
func (r Request) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", r.Method, r.Path)
	framed := false
	for i := 0; i+1 < len(r.Header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", r.Header[i], r.Header[i+1])
		name := strings.ToLower(r.Header[i])
		framed = framed || name == "content-length" || name == "transfer-encoding"
	}
	if !framed && r.Body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	b.WriteString("\r\n")
	b.WriteString(r.Body)
	return b.Bytes()
}

// Response is an answer whose body was read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

func (r Response) String() string {
	body := r.Body
	if len(body) > 500 {
		body = body[:500]
	}
	return fmt.Sprintf("%d %s", r.Status, body)
}

// Do sends a request and returns the answer.
func (n *Node) Do(t testing.TB, r Request) Response {
	t.Helper()
	return n.Send(t, r, strings.NewReader(r.Body), int64(len(r.Body)))
}

// Send sends a request with a body from a reader; a negative length is chunked. An answer that is
// not as the OpenAPI document says fails the test.
func (n *Node) Send(t testing.TB, r Request, body io.Reader, length int64) Response {
	t.Helper()
	request := &http.Request{
		Method: r.Method, URL: &url.URL{Scheme: "http", Host: n.Address, Opaque: r.Path},
		Header: make(http.Header), Body: io.NopCloser(body), ContentLength: length,
	}
	if length == 0 {
		request.Body = http.NoBody
	}
	for i := 0; i+1 < len(r.Header); i += 2 {
		request.Header.Add(r.Header[i], r.Header[i+1])
	}
	answer, err := n.client.Do(request)
	if err != nil { // no Fatal: this may not be the test's own goroutine
		t.Errorf("%s %.80s: %v", r.Method, r.Path, err)
		return Response{Header: make(http.Header)}
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Errorf("%s %.80s: %v", r.Method, r.Path, err)
	}
	got := Response{answer.StatusCode, answer.Header, content}
	if err := Conforms(r.Method, r.Path, got); err != nil {
		t.Errorf("%v: %v", err, got)
	}
	return got
}

// Log keeps what is logged.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Take returns what was logged since it was last called.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// Switch is a Store in front of another that can be down.
type Switch struct {
	Behind ingest.Store
	Down   atomic.Bool
}

var errDown = errors.New("the database is down: cause-of-the-test")

// InsertEvents implements ingest.Store.
func (s *Switch) InsertEvents(ctx context.Context, token string, b *queries.EventBatch) error {
	if s.Down.Load() {
		return errDown
	}
	return s.Behind.InsertEvents(ctx, token, b)
}
