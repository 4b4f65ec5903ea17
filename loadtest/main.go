// Command loadtest drives a running Meterhouse over HTTP and checks what it answers.
//
// It speaks only HTTP and imports nothing of Meterhouse: what it proves, a client could prove.
// "replay" sends a trace of real requests and reads every sum back; "bench" measures writes as
// ratios to a reference measured in the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes, the same as those of the meterhouse binary.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// console is where a command writes: results to out, progress and errors to errs.
type console struct {
	out, errs io.Writer
	terminal  bool // errs is a terminal: progress rewrites one line
	getenv    func(string) string
}

// A usageError says that the command line is wrong, not that a run failed.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

const overview = `loadtest drives a running Meterhouse over HTTP and checks what it answers.

usage: loadtest COMMAND [flags]

  replay   send a trace of real requests as events, then read every sum back
  bench    measure writes as ratios to references measured in the same run
  fill     write a year of usage straight into the engine's tables
  demo     fill the demo catalog's organization with usage to look at
  bare     the reference server of bench: reads a body and answers 201
  help     this page; "loadtest help COMMAND" lists a command's flags

exit: 0 ok, 1 failed (a sum is wrong, an event was refused, ...), 2 wrong usage
`

func main() {
	con := console{
		out: os.Stdout, errs: os.Stderr, terminal: isTerminal(os.Stderr), getenv: os.Getenv,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal must end a run that waits for a dead server.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, con, os.Args[1:]))
}

// run does one command and returns the exit code.
func run(ctx context.Context, con console, args []string) int {
	err := dispatch(ctx, con, args)
	var wrong *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(con.errs, "loadtest: %v\nrun \"loadtest help\" for the commands and flags\n", err)
		return exitUsage
	default:
		fmt.Fprintf(con.errs, "loadtest: %v\n", err)
		return exitFailed
	}
}

func dispatch(ctx context.Context, con console, args []string) error {
	if len(args) == 0 {
		return usagef("no command")
	}
	switch args[0] {
	case "replay":
		return runReplay(ctx, con, args[1:])
	case "bench":
		return runBench(ctx, con, args[1:])
	case "fill":
		return runFill(ctx, con, args[1:])
	case "demo":
		return runDemo(ctx, con, args[1:])
	case "bare":
		return runBare(ctx, con, args[1:])
	case "help", "-h", "-help", "--help":
		return help(ctx, con, args[1:])
	default:
		return usagef("unknown command %q", args[0])
	}
}

func help(ctx context.Context, con console, args []string) error {
	if len(args) == 0 {
		_, err := io.WriteString(con.out, overview)
		return err
	}
	if args[0] == "help" {
		return help(ctx, con, nil)
	}
	return dispatch(ctx, con, []string{args[0], "-h"})
}

// newFlags makes the flag set of a command; -h prints to the result stream and exits 0.
func newFlags(con console, command, synopsis string) *flag.FlagSet {
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {
		fmt.Fprintf(con.out, "usage: loadtest %s\n\n", synopsis)
		set.SetOutput(con.out)
		set.PrintDefaults()
		set.SetOutput(io.Discard)
	}
	return set
}

// parse reads the flags; what is wrong with them is a usage error, arguments beside them too.
func parse(set *flag.FlagSet, args []string) error {
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usagef("%s: %v", set.Name(), err)
	}
	if set.NArg() > 0 {
		return usagef("%s: unexpected argument %q", set.Name(), set.Arg(0))
	}
	return nil
}
