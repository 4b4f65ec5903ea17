package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// secret is a string that shows itself to nobody: not to logs, not to fmt, not to JSON.
type secret string

const redacted = "(redacted)"

func (secret) String() string               { return redacted }
func (secret) GoString() string             { return redacted }
func (secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Set implements flag.Value.
func (s *secret) Set(v string) error { *s = secret(v); return nil }

// config is everything the flags and the environment say.
type config struct {
	listen     string
	data       string
	catalog    string
	clickhouse secret
	library    string
	pprof      string
	demo       bool
	verbose    bool
}

// engineDir is the embedded engine's part of the data directory.
func (c *config) engineDir() string { return filepath.Join(c.data, "engine") }

func (c *config) logger(std streams) *slog.Logger {
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: level}))
}

// flags returns a flag set whose every flag falls back to its environment variable.
func (c *config) flags(name string, std streams) *flag.FlagSet {
	f := flag.NewFlagSet("meterhouse "+name, flag.ContinueOnError)
	f.SetOutput(std.err)
	f.StringVar(&c.data, "data", env("METERHOUSE_DATA", "./data"),
		"`folder` of the log and of the embedded engine (METERHOUSE_DATA)")
	f.StringVar(&c.library, "libchdb", os.Getenv("LIBCHDB_PATH"),
		"`path` of the engine library, where it is not beside the program (LIBCHDB_PATH)")
	f.BoolVar(&c.verbose, "verbose", false, "log more")
	c.clickhouse = secret(os.Getenv("METERHOUSE_CLICKHOUSE"))
	return f
}

// databaseFlags adds what commands that talk to a database take.
func (c *config) databaseFlags(name string, std streams) *flag.FlagSet {
	f := c.flags(name, std)
	f.Var(&c.clickhouse, "clickhouse",
		"`DSN` of a ClickHouse; empty: the embedded engine (METERHOUSE_CLICKHOUSE)")
	return f
}

func env(name, otherwise string) string {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return v
	}
	return otherwise
}

// parse parses flags and refuses left-over arguments unless there are exactly want of them.
func parse(f *flag.FlagSet, args []string, want int, what string) ([]string, error) {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	if f.NArg() != want {
		fmt.Fprintf(f.Output(), "usage: %s [flags] %s\n", f.Name(), what)
		f.PrintDefaults()
		return nil, errUsage
	}
	return f.Args(), nil
}
