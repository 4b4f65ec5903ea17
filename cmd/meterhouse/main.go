// Command meterhouse is a usage-metering and billing backend for AI agents: one binary beside a
// ClickHouse, or with one embedded.
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

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand: a line of help and what it does with its arguments.
type command struct {
	name, help string
	run        func(ctx context.Context, args []string, std streams) error
}

// streams is where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"serve", "accept usage and answer questions about it", serve},
		{"engine", "run the embedded ClickHouse by itself", runEngine},
		{"migrate", "bring the database to the newest schema", migrate},
		{"catalog", "catalog apply FILE: take organizations, agents, secrets and rates from a file",
			catalog},
		{"replay", "store what was set aside because the database refused it", replay},
		{"report", "report --once: tell Stripe now; --reconcile: compare; --explain SLOT", runReport},
		{"reprice", "correct what was priced by rates that have changed since", reprice},
		{"verify", "prove that the rollups equal the ledger", runVerify},
		{"retention", "retention --once: remove months that organizations keep no longer",
			runRetention},
		{"doctor", "look at a setup and say what to do", doctor},
		{"backup", "backup --to PLACE: have ClickHouse back the database up, beside what runs", backup},
		{"restore", "restore --from PLACE: bring a backup into an empty database", restore},
		{"rebuild", "make the rollups of some days what the ledger says", rebuild},
		{"health", "ask a node whether it accepts writes", health},
		{"version", "print the version", version},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// errUsage is a wrong call: exit 2. Its text has been printed.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, std streams) int {
	if len(args) == 0 {
		usage(std.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(std.out)
		return exitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, args[1:], std)
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		}
		fmt.Fprintf(std.err, "meterhouse %s: %v\n", c.name, err)
		return exitFailed
	}
	fmt.Fprintf(std.err, "meterhouse: unknown command %q\n", args[0])
	usage(std.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: meterhouse COMMAND [flags]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.help)
	}
	fmt.Fprintln(w, "meterhouse COMMAND -h lists its flags.")
}
