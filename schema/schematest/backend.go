package schematest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/testcontainers/testcontainers-go"
	chcontainer "github.com/testcontainers/testcontainers-go/modules/clickhouse"

	"github.com/meterhouse/meterhouse/engine"
)

// serverImage is the server with the embedded engine's version.
const serverImage = "clickhouse/clickhouse-server:26.7"

// clusterXML is a cluster of one server, and a Keeper in its memory.
//
//go:embed cluster.xml
var clusterXML []byte

// backend starts the engine on its first call and returns what makes the options of a connection
// to it, a fresh copy each time. It stays up until the process ends.
var backend = sync.OnceValues(func() (func() *clickhouse.Options, error) {
	if dsn := os.Getenv("METERHOUSE_TEST_CLICKHOUSE"); dsn != "" {
		return dsnBackend(dsn)
	}
	switch name := os.Getenv("METERHOUSE_TEST_BACKEND"); name {
	case "", "embedded":
		return embeddedBackend()
	case "docker":
		return dockerBackend()
	default:
		return nil, fmt.Errorf("METERHOUSE_TEST_BACKEND is %q: must be embedded or docker", name)
	}
})

func dsnBackend(dsn string) (func() *clickhouse.Options, error) {
	if _, err := clickhouse.ParseDSN(dsn); err != nil {
		// The DSN holds a password, and the parser's error may quote it.
		return nil, errors.New("METERHOUSE_TEST_CLICKHOUSE: not a clickhouse-go DSN")
	}
	return func() *clickhouse.Options {
		options, _ := clickhouse.ParseDSN(dsn) // parsed above
		return options
	}, nil
}

// dockerBackend leaves the container to testcontainers' own reaper.
func dockerBackend() (func() *clickhouse.Options, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*timeout)
	defer cancel()
	const user, password = "default", "schematest"
	container, err := chcontainer.Run(ctx, serverImage, testcontainers.WithLogger(noLogger{}),
		chcontainer.WithUsername(user), chcontainer.WithPassword(password),
		testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader:            bytes.NewReader(clusterXML),
			ContainerFilePath: "/etc/clickhouse-server/config.d/meterhouse_test.xml",
			FileMode:          0o644,
		}))
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	addr, err := container.ConnectionHost(ctx)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return func() *clickhouse.Options {
		return &clickhouse.Options{
			Addr: []string{addr},
			Auth: clickhouse.Auth{Username: user, Password: password},
		}
	}, nil
}

type noLogger struct{}

func (noLogger) Printf(string, ...any) {}

func embeddedBackend() (func() *clickhouse.Options, error) {
	library, err := findLibrary()
	if err != nil {
		return nil, err
	}
	dir, lifeline, err := temporaryDir()
	if err != nil {
		return nil, err
	}
	// The engine reads what lies beside its own configuration, as a server does.
	extra := filepath.Join(dir, "engine.d")
	if err := os.Mkdir(extra, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(extra, "cluster.xml"), clusterXML, 0o600); err != nil {
		return nil, err
	}
	server, err := engine.Start(context.Background(), engine.Config{
		LibraryPath: library,
		DataDir:     dir,
		Listen:      "127.0.0.1:0",
		Password:    "schematest",
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return func() *clickhouse.Options {
		runtime.KeepAlive(lifeline) // as long as the backend is
		return &clickhouse.Options{
			Protocol: clickhouse.HTTP,
			Addr:     []string{server.Addr()},
			Auth:     clickhouse.Auth{Username: "default", Password: server.Password()},
		}
	}, nil
}

// findLibrary finds the engine's library from any package's directory: what LIBCHDB_PATH names,
// or what the build fetched under the module's root.
func findLibrary() (string, error) {
	if explicit := os.Getenv("LIBCHDB_PATH"); explicit != "" {
		return explicit, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("%w: set LIBCHDB_PATH", err)
	}
	pattern := filepath.Join(root, "engine", "node_modules", "@chdb", "lib-*", "libchdb.so")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("no library at %s: run `make build` or set LIBCHDB_PATH", pattern)
	}
	return found[0], nil
}

// moduleRoot finds the module that the test's directory belongs to.
func moduleRoot() (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return root, nil
		}
		parent := filepath.Dir(root)
		if parent == root {
			return "", errors.New("no go.mod above the test's directory")
		}
		root = parent
	}
}
