// Package schematest gives a test a fresh, migrated database on a real ClickHouse engine.
//
// The engine is, by the environment:
//
//	METERHOUSE_TEST_CLICKHOUSE=<DSN>   a server that runs already
//	METERHOUSE_TEST_BACKEND=docker     the official server image, started by testcontainers-go
//	otherwise                          the embedded engine, started in the test's own process
//
// It is started once per test process. A test whose engine cannot be had fails; none is skipped.
package schematest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// timeout bounds what New and a database's own methods wait for.
const timeout = 60 * time.Second

// Database is a database of one test's own. It is dropped when the test ends.
type Database struct {
	Name    string
	Options *clickhouse.Options // of a connection to it; the caller may change its copy
	Conn    driver.Conn         // to it, closed when the test ends

	t testing.TB
}

// New returns a database with the newest schema. It may be called by parallel tests.
func New(t testing.TB) *Database {
	t.Helper()
	d := NewEmpty(t)
	if err := d.migrate(t.Context()); err != nil {
		t.Fatalf("schematest: %v", err)
	}
	return d
}

// NewEmpty returns a database without tables.
func NewEmpty(t testing.TB) *Database {
	t.Helper()
	server, err := backend()
	if err != nil {
		t.Fatalf("schematest: %v", err)
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	root := open(t, server())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := root.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("schematest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := root.Exec(ctx, fmt.Sprintf("DROP DATABASE %s SYNC", name)); err != nil {
			t.Errorf("schematest: %v", err)
		}
	})
	options := server()
	options.Auth.Database = name
	return &Database{Name: name, Options: options, Conn: open(t, options), t: t}
}

func open(t testing.TB, options *clickhouse.Options) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatalf("schematest: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Exec runs one statement and fails the test when it fails.
func (d *Database) Exec(query string, args ...any) {
	d.t.Helper()
	if err := d.TryExec(query, args...); err != nil {
		d.t.Fatalf("schematest: %v", err)
	}
}

// TryExec runs one statement.
func (d *Database) TryExec(query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.Conn.Exec(ctx, query, args...)
}

// Strings runs a query and returns its rows, each as its columns' text joined by one space: what
// a test compares. The query's columns must be strings (toString, formatRow).
func (d *Database) Strings(query string, args ...any) []string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	rows, err := d.Conn.Query(ctx, query, args...)
	if err != nil {
		d.t.Fatalf("schematest: %v", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		columns := make([]string, len(rows.Columns()))
		into := make([]any, len(columns))
		for i := range columns {
			into[i] = &columns[i]
		}
		if err := rows.Scan(into...); err != nil {
			d.t.Fatalf("schematest: %v", err)
		}
		out = append(out, strings.Join(columns, " "))
	}
	if err := rows.Err(); err != nil {
		d.t.Fatalf("schematest: %v", err)
	}
	return out
}
