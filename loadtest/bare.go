package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

const bareSynopsis = `bare [flags]

The reference of "loadtest bench": a bare fiber application that reads a request's body and
answers 201, the least that a server with this framework can do. It prints the address it
listens on, and ends on a signal.`

func runBare(ctx context.Context, con console, args []string) error {
	set := newFlags(con, "bare", bareSynopsis)
	listen := set.String("listen", "127.0.0.1:0", "the `address` to listen on; port 0 is any")
	withParent := set.Bool("with-stdin", false, "end when standard input ends")
	if err := parse(set, args); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(*listen)
	if err != nil {
		return usagef("--listen: %v", err)
	}
	if !loopback(host) {
		return usagef("--listen: %s is not a loopback address", host)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	if *withParent {
		go func() {
			// A parent that was killed cannot stop its child; the pipe it held tells.
			_, _ = io.Copy(io.Discard, os.Stdin)
			end()
		}()
	}
	fmt.Fprintf(con.out, "listening on %s\n", listener.Addr())
	return serveBare(ctx, listener)
}

// serveBare serves until ctx ends.
func serveBare(ctx context.Context, listener net.Listener) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post("/*", func(c *fiber.Ctx) error {
		// The body has been read when the handler runs; taking it is all there is to do.
		_ = c.BodyRaw()
		c.Status(fiber.StatusCreated)
		return nil
	})
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return app.ShutdownWithTimeout(5 * time.Second)
	}
}

// A bareChild is the reference running as a process of its own, as the server under test does.
type bareChild struct {
	command *exec.Cmd
	stdin   io.Closer
	base    string
}

// startBare starts the reference and returns when it listens. The caller must stop it.
func startBare(con console) (*bareChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	command := exec.Command(self, "bare", "--listen", "127.0.0.1:0", "--with-stdin")
	command.Stderr = con.errs
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	child := &bareChild{command: command, stdin: stdin}
	// The line is shorter than a pipe's atomic write: one read has it, or the child has ended.
	buffer := make([]byte, 256)
	n, _ := stdout.Read(buffer)
	address, ok := strings.CutPrefix(strings.TrimSpace(string(buffer[:n])), "listening on ")
	if !ok {
		return nil, errors.Join(errors.New("bare: did not start"), child.stop())
	}
	child.base = "http://" + address
	return child, nil
}

// stop ends the child and waits for it.
func (b *bareChild) stop() error {
	_ = b.stdin.Close()
	return b.command.Wait()
}
