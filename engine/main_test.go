package engine

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// shared is the engine that most tests use: a process can have one only.
var shared *Server

// childEnv makes the test binary play a part of its own instead of running tests.
const childEnv = "METERHOUSE_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	if part := os.Getenv(childEnv); part != "" {
		os.Exit(runChild(part))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "engine-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared, err = Start(context.Background(), Config{
		LibraryPath: libraryForTests(),
		DataDir:     dir,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := shared.Close(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "close:", err)
		}
	}()
	return m.Run()
}

// libraryForTests is where `make engine` puts the library, seen from this directory.
func libraryForTests() string {
	if path := os.Getenv("LIBCHDB_PATH"); path != "" {
		return path
	}
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	return filepath.Join(dir, "node_modules", "@chdb", libraryPackage(), libraryFile)
}

// options reach the shared engine.
func options() *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{shared.Addr()},
		Auth:     clickhouse.Auth{Database: "default", Username: "default", Password: shared.Password()},
	}
}

func openWith(t testing.TB, change func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	o := options()
	if change != nil {
		change(o)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func open(t testing.TB) driver.Conn { return openWith(t, nil) }

func openSQL(t testing.TB) *sql.DB {
	t.Helper()
	db := clickhouse.OpenDB(options())
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// table creates a table of the test's own and returns its name.
func table(t testing.TB, conn driver.Conn, definition string) string {
	t.Helper()
	name := "t_" + randomLetters(8)
	execSQL(t, conn, "CREATE TABLE "+name+" "+definition)
	t.Cleanup(func() { _ = conn.Exec(context.Background(), "DROP TABLE IF EXISTS "+name+" SYNC") })
	return name
}

func execSQL(t testing.TB, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// scalar reads one value.
func scalar[T any](t testing.TB, conn driver.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(sql), err)
	}
	return v
}

// eventually waits for a condition that something else brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within 15 s: %s", what)
}
