package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// aged is a database whose schema has the version that a test says.
type aged struct {
	*schematest.Database
	changes int
}

func (a *aged) is(version int64, half bool) {
	a.changes++
	a.Exec(fmt.Sprintf("INSERT INTO schema_migrations SELECT %d, %v, max(sequence) + %d "+
		"FROM schema_migrations", version, half, a.changes))
}

// prepare does what a start of serve does with the schema.
func (a *aged) prepare(t *testing.T, embedded bool) (log string, err error) {
	t.Helper()
	var said bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&said, nil))
	d, err := openDatabase(t.Context(), &config{clickhouse: dsnOf(a.Database)}, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.embedded = embedded
	err = d.prepare(t.Context(), logger)
	return said.String(), err
}

// call runs a command on the database.
func (a *aged) call(command string) (status int, output string) {
	var out bytes.Buffer
	args := append(strings.Fields(command), "--clickhouse", string(dsnOf(a.Database)))
	status = run(context.Background(), args, streams{nil, &out, &out})
	return status, out.String()
}

const goesOn = "a newer meterhouse has migrated the database: this one goes on"

// TestProgramsMeetSchemas wants a program to refuse a schema that is older than it, saying what to
// do, and to go on with a newer one. Without the check verify found nothing wrong with a schema that
// lacks a migration, or said that a table is unknown; where the embedded engine is always migrated,
// an old program refused a newer schema.
func TestProgramsMeetSchemas(t *testing.T) {
	t.Parallel()
	newest := schema.Newest()
	a := &aged{Database: schematest.New(t)}
	refuses := func(want string) {
		t.Helper()
		want += ": run `meterhouse migrate` with this program first"
		if err := newNodeOn(t, a.Database).start(t.Context()); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("serve: %v, want %q", err, want)
		}
		for _, command := range []string{"verify", "retention --once"} {
			status, output := a.call(command)
			if status != exitFailed || !strings.Contains(output, want) {
				t.Errorf("%s: status %d, want 1 and %q:\n%s", command, status, want, output)
			}
		}
	}
	takes := func(embedded bool, warning string) {
		t.Helper()
		said, err := a.prepare(t, embedded)
		if err != nil || !strings.Contains(said, warning) || warning == "" && said != "" {
			t.Errorf("serve: %v, it says %q, want %q", err, said, warning)
		}
	}
	takes(false, "")
	takes(true, "")
	a.is(newest-1, false)
	refuses(fmt.Sprintf("the database has schema version %d, this program needs %d", newest-1, newest))
	takes(true, "schema migrated") // nobody else would
	takes(false, "")
	a.is(newest, true)
	refuses(fmt.Sprintf("the migration to schema version %d is not finished", newest))
	for _, half := range []bool{true, false} {
		a.is(newest+1, half)
		takes(false, goesOn)
		takes(true, goesOn)
	}
	if err := newNodeOn(t, a.Database).start(t.Context()); err != nil {
		t.Errorf("serve: %v", err)
	}
	status, output := a.call("verify --data " + t.TempDir())
	if status != exitOK || !strings.Contains(output, goesOn) {
		t.Errorf("verify: status %d\n%s", status, output)
	}
	a.Database = schematest.NewEmpty(t)
	refuses("the database has no schema")
}
