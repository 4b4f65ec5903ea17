package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyPrefix begins the one line that a child writes to stdout; its address follows.
const readyPrefix = "engine ready on "

// stderrLineMax bounds a line of a child's stderr that is kept.
const stderrLineMax = 16 << 10

// child is one run of the engine's process.
type child struct {
	cmd     *exec.Cmd
	stdin   io.Closer // its end tells the child that we are gone
	ready   chan string
	dead    chan struct{}
	started time.Time

	mu   sync.Mutex
	last string // line of stderr
}

// startChild runs the program. It gets a process group of its own: Ctrl-C in a terminal goes to a
// whole group, and would take the engine away from under its user.
func startChild(exe string, args, env []string, logger *slog.Logger) (*child, error) {
	cmd := exec.Command(exe, args...)
	cmd.Env = append(withoutSecrets(os.Environ()), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{
		cmd:     cmd,
		stdin:   stdin,
		ready:   make(chan string, 1),
		dead:    make(chan struct{}),
		started: time.Now(),
	}
	var reading sync.WaitGroup
	reading.Go(func() { c.readStdout(stdout) })
	reading.Go(func() { c.readStderr(stderr, logger.With("pid", cmd.Process.Pid)) })
	go func() {
		reading.Wait() // before Wait, which closes the pipes
		_ = cmd.Wait()
		close(c.dead)
	}()
	return c, nil
}

// Variables that begin like secretive may hold what is not the engine's to know, but for those that
// begin like its own: who may ask it questions can read files, and so its environment.
var (
	secretive = []string{"METERHOUSE_", "STRIPE_", "OTEL_"}
	own       = []string{"METERHOUSE_ENGINE_", "METERHOUSE_LOG_"}
)

func withoutSecrets(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		begins := func(prefix string) bool { return strings.HasPrefix(variable, prefix) }
		return slices.ContainsFunc(secretive, begins) && !slices.ContainsFunc(own, begins)
	})
}

// readStdout waits for the ready line and drops all else.
func (c *child) readStdout(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
			select {
			case c.ready <- strings.TrimSpace(addr):
			default:
			}
		}
	}
	_, _ = io.Copy(io.Discard, r)
}

// readStderr passes the child's lines to the logger and remembers the last.
func (c *child) readStderr(r io.Reader, logger *slog.Logger) {
	lines := bufio.NewReaderSize(r, stderrLineMax)
	for {
		text, tooLong, err := lines.ReadLine()
		if line := strings.TrimSpace(string(text)); line != "" {
			logger.Info("engine says", "line", line)
			c.mu.Lock()
			c.last = line
			c.mu.Unlock()
		}
		for tooLong && err == nil {
			_, tooLong, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// waitReady returns the address of the ready line, or why there will be none.
func (c *child) waitReady(ctx context.Context, stop <-chan struct{}) (addr string, err error) {
	select {
	case addr := <-c.ready:
		return addr, nil
	case <-c.dead:
		if reason := c.reason(); reason != "" {
			return "", errors.New(reason)
		}
		return "", fmt.Errorf("engine: the child ended before it was ready (%s)", c.state())
	case <-stop:
		return "", errors.New("engine: stopped")
	case <-ctx.Done():
		return "", fmt.Errorf("engine: the child was not ready in time: %w", ctx.Err())
	}
}

// end asks the child to stop, waits, and kills it when it does not.
func (c *child) end(grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.stdin.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.dead:
		return
	case <-timer.C:
	}
	c.kill()
	<-c.dead
}

// kill ends the child at once.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

func (c *child) pid() int { return c.cmd.Process.Pid }

// age is how long ago the child was started.
func (c *child) age() time.Duration { return time.Since(c.started) }

// reason is the last line the child wrote to stderr.
func (c *child) reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// state is how a dead child ended, like "exit status 1" or "signal: killed".
func (c *child) state() string {
	select {
	case <-c.dead:
		return c.cmd.ProcessState.String()
	default:
		return "running"
	}
}
