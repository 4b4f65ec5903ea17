package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
)

// logConfig is what is logged, and how.
type logConfig struct {
	format  logFormat
	level   logLevel
	verbose bool // the short way to say debug
	access  bool // a line for every request
}

// checked is a flag whose environment variable may hold what the flag would refuse; parse asks.
type checked interface{ fromEnvironment() error }

// logFormat is how lines look.
type logFormat struct {
	json  bool
	wrong error
}

func (l *logFormat) String() string {
	if l != nil && l.json {
		return "json"
	}
	return "text"
}

// Set implements flag.Value.
func (l *logFormat) Set(v string) error {
	if v != "text" && v != "json" {
		return errors.New("must be text or json")
	}
	l.json = v == "json"
	return nil
}

func (l *logFormat) fromEnvironment() error { return l.wrong }

// logLevel is the least that is said.
type logLevel struct {
	slog.Level
	wrong error
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func (l *logLevel) String() string {
	for name, level := range logLevels {
		if l != nil && level == l.Level {
			return name
		}
	}
	return "info"
}

// Set implements flag.Value.
func (l *logLevel) Set(v string) error {
	level, ok := logLevels[v]
	if !ok {
		return errors.New("must be debug, info, warn or error")
	}
	l.Level = level
	return nil
}

func (l *logLevel) fromEnvironment() error { return l.wrong }

// logFlags adds what every command says, and how.
func (l *logConfig) logFlags(f *flag.FlagSet) {
	const format, level = "METERHOUSE_LOG_FORMAT", "METERHOUSE_LOG_LEVEL"
	if err := l.format.Set(env(format, "text")); err != nil {
		l.format.wrong = fmt.Errorf("%s: %w", format, err)
	}
	if err := l.level.Set(env(level, "info")); err != nil {
		l.level.wrong = fmt.Errorf("%s: %w", level, err)
	}
	f.Var(&l.format, "log-format", "the `form` of the log's lines: text or json ("+format+"; default text)")
	f.Var(&l.level, "log-level", "the `least` that is logged: debug, info, warn or error ("+level+"; default info)")
	f.BoolVar(&l.verbose, "verbose", false, "log more: --log-level debug")
}

// accessLogFlag adds whether every request has a line.
func (l *logConfig) accessLogFlag(f *flag.FlagSet) {
	f.BoolVar(&l.access, "access-log", os.Getenv("METERHOUSE_ACCESS_LOG") == "true",
		"log a line for every request, not only for what failed or was slow (METERHOUSE_ACCESS_LOG=true)")
}

// logger writes to a command's standard error.
func (c *config) logger(std streams) *slog.Logger {
	level := c.log.level.Level
	if c.log.verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	if c.log.format.json {
		return slog.New(slog.NewJSONHandler(std.err, options))
	}
	return slog.New(slog.NewTextHandler(std.err, options))
}
