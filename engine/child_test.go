package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The parts that the test binary can play, chosen by childEnv. The data directory is its last
// argument.
const (
	partEngine = "engine" // what `meterhouse engine` does
	partParent = "parent" // a program with a supervisor
	partHold   = "hold"   // holds the lock of a data directory
)

// lockWaitEnv is a child's Config.LockWait.
const lockWaitEnv = "METERHOUSE_ENGINE_TEST_LOCK_WAIT"

func runChild(part string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	dir := os.Args[len(os.Args)-1]
	var err error
	switch part {
	case partEngine:
		wait, _ := time.ParseDuration(os.Getenv(lockWaitEnv))
		err = Run(ctx, Config{
			LibraryPath: os.Getenv(LibraryEnv),
			DataDir:     dir,
			Password:    os.Getenv(PasswordEnv),
			LockWait:    wait,
			Settings:    map[string]string{"max_server_memory_usage": "800000000"},
			Logger:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
			ReadyLine:   os.Stdout,
			StopOnEOF:   os.Stdin,
		})
	case partParent:
		err = runParent(ctx, dir)
	case partHold:
		err = runHold(ctx, dir)
	default:
		err = fmt.Errorf("no such part: %q", part)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runParent(ctx context.Context, dir string) error {
	s := NewSupervisor(childConfig(dir))
	if err := s.Start(ctx); err != nil {
		return err
	}
	e, err := ReadEndpoint(dir)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(e); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Stop(context.Background())
}

func runHold(ctx context.Context, dir string) error {
	lock, err := lockDir(ctx, dir, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer lock.Close()
	fmt.Println("held")
	<-ctx.Done()
	return nil
}

// childConfig makes a supervisor run this binary as the engine.
func childConfig(dir string) SupervisorConfig {
	return SupervisorConfig{
		Executable:  os.Args[0],
		Args:        []string{dir},
		Env:         []string{childEnv + "=" + partEngine},
		DataDir:     dir,
		LibraryPath: libraryForTests(),
	}
}
