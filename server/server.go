// Package server is the HTTP side of Meterhouse: one fiber app that mounts the wire dialects at
// the root of its origin, with limits, health and metrics around them.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/admin"
	"github.com/meterhouse/meterhouse/server/agent700"
	"github.com/meterhouse/meterhouse/server/console"
	"github.com/meterhouse/meterhouse/server/corrections"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/digitalocean"
	"github.com/meterhouse/meterhouse/server/ingest"
	"github.com/meterhouse/meterhouse/server/memori"
	"github.com/meterhouse/meterhouse/server/native"
	"github.com/meterhouse/meterhouse/server/openapi"
	"github.com/meterhouse/meterhouse/server/otlp"
	"github.com/meterhouse/meterhouse/server/raia"
	"github.com/meterhouse/meterhouse/server/report"
	"github.com/meterhouse/meterhouse/server/system"
	"github.com/meterhouse/meterhouse/server/tracker"
	"github.com/meterhouse/meterhouse/server/usage"
)

// Config is what a Server needs. All fields down to Now are required.
type Config struct {
	Directory   *access.Directory
	Ingest      *ingest.Ingest
	Corrections *corrections.Corrector
	Queries     *queries.Queries
	Logger      *slog.Logger
	Metrics     *prometheus.Registry
	Now         func() time.Time

	// Reports tells Stripe what is billable; nil: this node does not, and its routes say so.
	Reports dialect.Reports
	// Exports makes saved exports, Erasures forgets people; nil: this node does not.
	Exports  dialect.Exports
	Erasures dialect.Erasures

	// System is what the node knows of itself besides.
	System SystemConfig

	// Tracer begins requests' traces; nil: they are not traced.
	Tracer trace.Tracer
	// AccessLog logs a line for every request.
	AccessLog bool

	// Console says how the console is reached; what it shares with the server is filled in.
	Console console.Config
	// TLS, when not nil, is what the listener speaks.
	TLS *tls.Config

	// BodiesBytesMax bounds what requests with more than small bodies take at once, so that memory
	// does not grow with their number; default 128 MiB.
	BodiesBytesMax int64
}

// Server serves every dialect.
type Server struct {
	cfg      Config
	app      *fiber.App
	bodies   *dialect.Bodies
	requests *requestMetrics
	log      *requestLog
	reads    *reads
	byPrefix []prefix

	described openapi.Document

	mu       sync.Mutex
	listener net.Listener // of Serve
	stopped  bool
}

type prefix struct {
	path    string
	dialect dialect.Dialect
}

const (
	readTimeout   = 60 * time.Second  // of a whole request, so that slow senders end
	writeTimeout  = 120 * time.Second // of a whole answer
	idleTimeout   = 120 * time.Second
	headerBytes   = 16 << 10
	connectionMax = 8192 // an idle one takes 15 KiB
)

// New builds the app. It neither listens nor starts anything.
func New(c Config) (*Server, error) {
	setDefault(&c.BodiesBytesMax, 128<<20)
	s := &Server{
		cfg:      c,
		bodies:   dialect.NewBodies(c.BodiesBytesMax),
		requests: newRequestMetrics(),
		log:      newRequestLog(c.Logger, c.AccessLog),
	}
	if err := s.requests.register(c.Metrics, s); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	metrics := newReadMetrics()
	if err := metrics.register(c.Metrics); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.reads = newReads(c.Now, metrics)
	var err error
	if s.described, err = openapi.Load(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.app = fiber.New(fiber.Config{
		AppName:               "meterhouse",
		DisableStartupMessage: true,
		StreamRequestBody:     true, // bodies are read by dialect.ReadBody, with its bound
		BodyLimit:             schema.RequestBytesMax,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		ReadBufferSize:        headerBytes,
		Concurrency:           connectionMax,
		ErrorHandler:          s.writeError,

		// A form would be read, and written to disk, before anyone is asked for a credential.
		DisablePreParseMultipartForm: true,
	})
	s.app.Server().Handler = knownMethods(fiber.DefaultMethods, s.app.Server().Handler)
	s.app.Use(s.observe)
	if err := s.mountConsole(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s.mountOperations()
	for _, d := range s.dialects(s.door()) {
		for _, path := range d.Prefixes {
			s.byPrefix = append(s.byPrefix, prefix{path, d})
		}
		d.Mount(s.app)
	}
	sort.Slice(s.byPrefix, func(i, j int) bool {
		return len(s.byPrefix[i].path) > len(s.byPrefix[j].path)
	})
	return s, nil
}

// mountConsole also lets its sessions in to the routes that are mounted later.
func (s *Server) mountConsole() error {
	c := s.cfg.Console
	c.Directory, c.Queries, c.Now = s.cfg.Directory, s.cfg.Queries, s.cfg.Now
	c.Metrics = s.cfg.Metrics
	c.Secure = c.Secure || s.cfg.TLS != nil
	page, err := console.New(c)
	if err != nil {
		return err
	}
	s.app.Use(page.Guard)
	page.Mount(s.app)
	return nil
}

func setDefault(field *int64, value int64) {
	if *field == 0 {
		*field = value
	}
}

func (s *Server) dialects(door dialect.Door) (all []dialect.Dialect) {
	for _, d := range []struct {
		name string
		make func(dialect.Door) dialect.Dialect
	}{
		{"native", native.New},
		{"admin", admin.New},
		{"report", report.New},
		{"usage", usage.New},
		{"system", system.New},
		{"otlp", otlp.New},
		{"raia", raia.New},
		{"memori", memori.New},
		{"digitalocean", digitalocean.New},
		{"agent700", agent700.New},
		{"tracker", tracker.New},
	} {
		door.Recorder = &recorder{s.cfg.Ingest, s.reads.group, s.requests.dialect(d.name)}
		all = append(all, d.make(door))
	}
	return all
}

func (s *Server) door() dialect.Door {
	turns := newTurns(analystsAtOnce(), s.reads.metrics)
	door := dialect.Door{
		Access: s.cfg.Directory,
		Reader: &reader{
			queries: s.cfg.Queries, ingest: s.cfg.Ingest, reads: s.reads, turns: turns,
		},
		Corrector: &corrector{s.cfg.Corrections, s.reads.group},
		Catalog:   &catalog{directory: s.cfg.Directory, queries: s.cfg.Queries},
		Usage: &usageReads{
			queries: s.cfg.Queries, reads: s.reads, turns: turns, answers: s.reads.answers,
		},
		Exports: s.cfg.Exports,
		Now:     s.cfg.Now,
		NewID:   func() uuid.UUID { return schema.NewEventID(s.cfg.Now()) },
		Logger:  s.cfg.Logger,
	}
	door.System = &systemStatus{s.cfg.System, s.cfg.Queries, s.cfg.Ingest, s.reads}
	if s.cfg.Erasures != nil {
		door.Erasures = &erasures{s.cfg.Erasures, s.reads.group}
	}
	if s.cfg.Reports != nil {
		door.Reports = &reports{s.cfg.Reports}
	}
	return door
}

// Serve accepts requests on a listener until Stop, which may have come first.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return l.Close()
	}
	s.listener = l
	s.mu.Unlock()
	if err := s.app.Listener(newListener(newPunctual(l), s.cfg.TLS)); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// Stop stops accepting, and returns when running requests ended or ctx did.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	err := s.app.ShutdownWithContext(ctx)
	if s.listener != nil {
		_ = s.listener.Close() // fasthttp does not know of one whose Serve is only just starting
	}
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// dialectOf returns whose envelope errors on a path have: the native API's where nobody's is.
func (s *Server) dialectOf(path string) dialect.Dialect {
	path = strings.ToLower(path)
	for _, p := range s.byPrefix {
		if strings.HasPrefix(path, p.path) {
			return p.dialect
		}
	}
	return s.dialectOf("/v1/")
}

var errStopping = &schema.Error{
	Kind:       schema.Unavailable,
	Message:    "this node is stopping; try again",
	RetryAfter: time.Second,
}

// writeError is where every failed request ends: the dialect of its path tells it.
func (s *Server) writeError(c *fiber.Ctx, err error) error {
	if errors.Is(err, context.Canceled) {
		err = errStopping // what a request waited for has ended under it
	}
	if dialect.RequestID(c) == "" { // it failed before there was a request to speak of
		dialect.NameRequest(c)
	}
	d := s.dialectOf(c.Path())
	if err := d.WriteError(c, err); err != nil {
		s.cfg.Logger.Error("error was not told",
			append(aboutRequest(c), "dialect", d.Name, "error", err)...)
		return c.SendStatus(fiber.StatusInternalServerError)
	}
	return nil
}

// routeOf names a request without its secrets: Memori's token is part of the path.
func routeOf(c *fiber.Ctx) string {
	if path := c.Route().Path; path != "/" {
		return path
	}
	return "none"
}
