package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// PasswordEnv carries the password to the child: unlike an argument, the environment of a process
// is shown to its user only.
const PasswordEnv = "METERHOUSE_ENGINE_PASSWORD"

// LibraryEnv carries SupervisorConfig.LibraryPath to the child.
const LibraryEnv = "LIBCHDB_PATH"

// SupervisorConfig says which child to run.
type SupervisorConfig struct {
	// Executable is the program, this one if empty.
	Executable string
	// Args are its arguments. They must make it call Run with DataDir, the password from
	// PasswordEnv, stdout as ReadyLine and stdin as StopOnEOF, and write an error of Run as the
	// last line of stderr.
	Args []string
	// Env is added to this process's environment.
	Env []string
	// DataDir is where the child's engine keeps its files, and where the endpoint is written.
	DataDir string
	// LibraryPath is passed on to the child if not empty.
	LibraryPath string
	// Logger takes the child's stderr, and what happens to it. Nothing is said if nil.
	Logger *slog.Logger
	// StartTimeout bounds a start up to the ready line: 60 s if 0.
	StartTimeout time.Duration
	// StopGrace is what a child gets between SIGTERM and SIGKILL: 8 s if 0.
	StopGrace time.Duration
}

// How soon a child that died is started again: at once, then later and later while it keeps
// dying young.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
	// settled is how long a child must live for its death to count as the first.
	settled = 30 * time.Second
)

// Supervisor runs the engine as a child process, and runs it again when it dies.
type Supervisor struct {
	c        SupervisorConfig
	password string

	mu       sync.Mutex
	child    *child        // the running one, ready or not
	ready    chan struct{} // closed while a child is ready
	addr     string
	restarts int
	started  bool

	stop    chan struct{} // closed by Stop
	stopped chan struct{} // closed when the last child is gone
}

// NewSupervisor returns a supervisor that has not done anything yet.
func NewSupervisor(c SupervisorConfig) *Supervisor {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = time.Minute
	}
	if c.StopGrace <= 0 {
		c.StopGrace = 8 * time.Second
	}
	return &Supervisor{
		c:        c,
		password: randomHex(16),
		ready:    make(chan struct{}),
		stop:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
}

// Start runs the child and returns when it accepts requests. If this first child fails to start,
// its own error is returned and none is started again. ctx bounds the start only.
func (s *Supervisor) Start(ctx context.Context) error {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		return errors.New("engine: the supervisor was started already")
	}
	s.started = true
	s.mu.Unlock()
	if s.c.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			close(s.stopped)
			return fmt.Errorf("engine: own executable: %w", err)
		}
		s.c.Executable = exe
	}
	c, err := s.launch(ctx)
	if err != nil {
		close(s.stopped)
		return err
	}
	go s.watch(c)
	return nil
}

// launch starts a child and waits until it is ready.
func (s *Supervisor) launch(ctx context.Context) (*child, error) {
	env := append(slices.Clone(s.c.Env), PasswordEnv+"="+s.password)
	if s.c.LibraryPath != "" {
		env = append(env, LibraryEnv+"="+s.c.LibraryPath)
	}
	c, err := startChild(s.c.Executable, s.c.Args, env, s.c.Logger)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.c.StartTimeout)
	defer cancel()
	addr, err := c.waitReady(ctx, s.stop)
	if err != nil {
		c.end(s.c.StopGrace)
		return nil, err
	}
	e := Endpoint{Addr: addr, Password: s.password, PID: c.pid()}
	if err := writeEndpoint(s.c.DataDir, e); err != nil {
		// Other subcommands will not find the engine; this one does.
		s.c.Logger.Error("engine endpoint not written", "error", err)
	}
	s.mu.Lock()
	s.addr = addr
	close(s.ready)
	s.mu.Unlock()
	s.c.Logger.Info("engine ready", "addr", addr, "pid", c.pid())
	return c, nil
}

// watch waits for children to die and starts others, until Stop.
func (s *Supervisor) watch(c *child) {
	defer close(s.stopped)
	backoff := backoffMin
	for {
		select {
		case <-c.dead:
		case <-s.stop:
		}
		s.lost()
		if s.stopping() {
			c.end(s.c.StopGrace)
			removeEndpoint(s.c.DataDir, c.pid())
			return
		}
		removeEndpoint(s.c.DataDir, c.pid())
		s.c.Logger.Error("engine died", "pid", c.pid(), "state", c.state(), "reason", c.reason())
		if c.age() > settled {
			backoff = backoffMin
		}
		next := s.relaunch(&backoff)
		if next == nil {
			return
		}
		c = next
	}
}

// relaunch tries until a child is ready, or returns nil on Stop.
func (s *Supervisor) relaunch(backoff *time.Duration) *child {
	for {
		select {
		case <-time.After(*backoff):
		case <-s.stop:
			return nil
		}
		*backoff = min(2**backoff, backoffMax)
		s.mu.Lock()
		s.restarts++
		s.mu.Unlock()
		c, err := s.launch(context.Background())
		if err == nil {
			return c
		}
		if s.stopping() {
			return nil
		}
		s.c.Logger.Error("engine not started again", "error", err)
	}
}

// lost makes callers of DialContext wait for the next child.
func (s *Supervisor) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = make(chan struct{})
	s.addr = ""
}

func (s *Supervisor) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// Addr is where the engine listens now, or empty while it is being started again. It changes with
// every restart.
func (s *Supervisor) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Password is what the user "default" must give. It stays the same over restarts.
func (s *Supervisor) Password() string { return s.password }

// Healthy tells whether a child is running and has said that it is ready.
func (s *Supervisor) Healthy() bool { return s.Addr() != "" }

// Restarts counts how often a child was started in place of a dead one.
func (s *Supervisor) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// DialContext connects to the engine wherever it listens now; the address it is given does not
// matter. While no child is ready it waits, until ctx ends. It fits clickhouse.Options.
func (s *Supervisor) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	var dialer net.Dialer
	for {
		s.mu.Lock()
		ready, addr := s.ready, s.addr
		s.mu.Unlock()
		select {
		case <-ready:
		case <-s.stopped:
			return nil, fmt.Errorf("engine: %w", net.ErrClosed)
		case <-ctx.Done():
			return nil, fmt.Errorf("engine: not ready: %w", ctx.Err())
		}
		if addr == "" {
			continue // it became ready after the look at its address
		}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil || ctx.Err() != nil || s.Addr() == addr {
			return conn, err
		}
	}
}

// Stop ends the child, by SIGTERM and, when it takes longer than StopGrace or ctx allows, by
// SIGKILL. It returns when the child is gone. A supervisor cannot be started again.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.mu.Lock()
	started := s.started
	s.started = true
	s.mu.Unlock()
	if !started {
		close(s.stopped)
		return nil
	}
	s.mu.Lock()
	if !s.stopping() {
		close(s.stop)
	}
	s.mu.Unlock()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	c := s.child
	s.mu.Unlock()
	if c != nil {
		c.kill()
	}
	<-s.stopped
	return ctx.Err()
}
