package main

import (
	"context"
	"os"

	"github.com/meterhouse/meterhouse/engine"
)

// runEngine is the embedded ClickHouse by itself: what serve starts as its child.
func runEngine(ctx context.Context, args []string, std streams) error {
	var c config
	var listen string
	var follow bool
	f := c.flags("engine", std)
	f.StringVar(&listen, "listen", env("METERHOUSE_ENGINE_LISTEN", "127.0.0.1:0"),
		"`address` of ClickHouse's HTTP interface (METERHOUSE_ENGINE_LISTEN)")
	f.BoolVar(&follow, "follow-stdin", false, "stop when standard input ends: the parent died")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	config := engine.Config{
		LibraryPath: c.library,
		DataDir:     c.engineDir(),
		BackupsDir:  c.backupsDir(),
		Listen:      listen,
		Password:    os.Getenv(engine.PasswordEnv),
		Logger:      c.logger(std),
		ReadyLine:   std.out,
	}
	if follow {
		config.StopOnEOF = std.in
	}
	return engine.Run(ctx, config)
}
