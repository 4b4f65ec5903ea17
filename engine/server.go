package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Config says how to run the engine. The zero value of every field but DataDir has a meaning.
type Config struct {
	// LibraryPath names libchdb; FindLibrary looks for it if empty.
	LibraryPath string
	// DataDir is where the engine keeps its files; it is created.
	DataDir string
	// BackupsDir is the only folder that BACKUP … TO File may write below, and RESTORE read; the
	// folder backups of DataDir if empty. The engine makes it when it is needed.
	BackupsDir string
	// Listen is the address to serve on, 127.0.0.1:0 if empty.
	Listen string
	// Password is what the user "default" must give. Start makes one up if it is empty; Run
	// refuses to start without.
	Password string
	// Settings are defaults of every query, by ClickHouse's names.
	Settings map[string]string
	// LockWait is how long to wait for another process to let go of the data directory: 10 s
	// if 0, not at all if negative.
	LockWait time.Duration
	// QueriesMax bounds the queries in flight (8 per processor, at least 32, if 0); QueueMax
	// those that wait for a place (1024 if 0), each for at most QueueWait (30 s if 0).
	QueriesMax int
	QueueMax   int
	QueueWait  time.Duration
	// Logger takes what there is to say; nothing is said if nil.
	Logger *slog.Logger
	// ReadyLine gets the line "engine ready on ADDRESS" once requests are accepted. Run only.
	ReadyLine io.Writer
	// StopOnEOF stops Run when it ends: a parent gives the read end of a pipe, which the kernel
	// closes when the parent dies. Stdin is right for a child of Supervisor only: run from a
	// shell's background or by an init system, stdin has ended before the engine began.
	StopOnEOF io.Reader
}

// withDefaults fills in what was left open.
func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.BackupsDir == "" {
		c.BackupsDir = filepath.Join(c.DataDir, "backups")
	}
	if c.LockWait == 0 {
		c.LockWait = 10 * time.Second
	}
	if c.QueriesMax <= 0 {
		c.QueriesMax = max(32, 8*runtime.GOMAXPROCS(0))
	}
	if c.QueueMax <= 0 {
		c.QueueMax = 1024
	}
	if c.QueueWait <= 0 {
		c.QueueWait = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server is an engine that is being served over HTTP in this process.
type Server struct {
	db       *DB
	http     *http.Server
	listener net.Listener
	password string
	cancel   context.CancelFunc // ends the queries in flight
	served   chan error
}

// Limits of the HTTP side. A request's body may take as long as it takes; only its header may not.
const (
	headerBytesMax = 4 << 20 // parameters travel in the URL
	headerTime     = 10 * time.Second
)

// Start opens the engine and serves it from this process until Close. A process has one engine
// and one data directory in its life, though it may Start and Close it again.
func Start(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	if c.Password == "" {
		c.Password = randomHex(16)
	}
	// A taken port is told before the library is loaded, which takes half a second.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, listenError(c.Listen, err)
	}
	db, err := Open(ctx, c)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return serve(ctx, db, listener, c), nil
}

// serve serves an open engine.
func serve(ctx context.Context, db *DB, listener net.Listener, c Config) *Server {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		db:       db,
		listener: listener,
		password: c.Password,
		cancel:   cancel,
		served:   make(chan error, 1),
		http: &http.Server{
			Handler:           newHandler(db, c.Password, c.Logger),
			ReadHeaderTimeout: headerTime,
			MaxHeaderBytes:    headerBytesMax,
			BaseContext:       func(net.Listener) context.Context { return base },
			ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
			// No IdleTimeout: a client whose idle connection is closed under it takes that
			// for a failed insert.
		},
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s
}

// listenError says which address and what to do.
func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("engine: address %s is taken: stop what listens there or choose another",
			address)
	}
	return fmt.Errorf("engine: cannot listen on %s: %w", address, err)
}

// Addr is the address served on, host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Password is what the user "default" must give.
func (s *Server) Password() string { return s.password }

// Version is the ClickHouse version of the engine.
func (s *Server) Version() string { return s.db.Version() }

// Close stops accepting and waits for the queries in flight. When ctx ends first they are
// cancelled, and Close returns ctx's error once they are gone.
func (s *Server) Close(ctx context.Context) error {
	err := s.closeHTTP(ctx)
	s.db.Close()
	return err
}

// closeHTTP is Close without the engine.
func (s *Server) closeHTTP(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.cancel()
	if err != nil {
		// Cancelled queries end by themselves; a body that never comes does not.
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		defer stop()
		if s.http.Shutdown(last) != nil {
			_ = s.http.Close()
		}
	}
	<-s.served
	return err
}

// Run shares its time to stop between queries that finish and queries that are cancelled.
const (
	drainQueries = 3 * time.Second
	cancelTime   = 2 * time.Second
)

// Run serves the engine until ctx ends or StopOnEOF does, and returns nil then. The caller should
// exit the process: the engine runs as long as that does. An error is one line that says what to
// do about it.
func Run(ctx context.Context, c Config) error {
	if c.Password == "" {
		return errors.New("engine: no password given: set METERHOUSE_ENGINE_PASSWORD")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.StopOnEOF != nil {
		go func() {
			_, _ = io.Copy(io.Discard, c.StopOnEOF)
			cancel()
		}()
	}
	s, err := Start(ctx, c)
	if err != nil {
		return err
	}
	if c.ReadyLine != nil {
		if _, err := fmt.Fprintf(c.ReadyLine, "engine ready on %s\n", s.Addr()); err != nil {
			cancel() // nobody is left to be ready for
		}
	}
	select {
	case <-ctx.Done():
	case err := <-s.served:
		return fmt.Errorf("engine: %w", err)
	}
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), drainQueries)
	defer stop()
	if err := s.Close(closing); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}
