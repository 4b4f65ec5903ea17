package schema_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestMigrateAppliesOnce(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	files, err := filepath.Glob("migrations/*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{len(files), 0} {
		got, err := schema.Migrate(t.Context(), db.Options, quiet())
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("Migrate applied %d, want %d", got, want)
		}
	}
}

// TestSchemaIsGolden shows a change of the schema as a diff of SQL.
func TestSchemaIsGolden(t *testing.T) {
	t.Parallel()
	got := dump(schematest.New(t))
	const golden = "testdata/schema.golden.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema differs from %s (-want +got), -update rewrites it:\n%s", golden, diff)
	}
}

// dump returns the statements that make every table and view, by name, without the database's.
func dump(db *schematest.Database) string {
	rows := db.Strings(`SELECT formatQuery(create_table_query) FROM system.tables
		WHERE database = currentDatabase() AND name != 'schema_migrations' ORDER BY name`)
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(strings.ReplaceAll(row, db.Name+".", "") + "\n\n")
	}
	return b.String()
}

// TestPastSchemasMigrate starts from versions there were.
func TestPastSchemasMigrate(t *testing.T) {
	t.Parallel()
	want := dump(schematest.New(t))
	ups := readMigrations(t, ".up.sql")
	for _, past := range pasts(t, len(ups)) {
		db := schematest.NewEmpty(t)
		for _, statement := range ups[:past] {
			db.Exec(statement)
		}
		recordVersion(db, past, false)
		applied, err := schema.Migrate(t.Context(), db.Options, quiet())
		if err != nil {
			t.Fatalf("from version %d: %v", past, err)
		}
		if applied != len(ups)-past {
			t.Errorf("from version %d: applied %d, want %d", past, applied, len(ups)-past)
		}
		if diff := cmp.Diff(want, dump(db)); diff != "" {
			t.Errorf("from version %d (-want +got):\n%s", past, diff)
		}
	}
}

// pasts returns versions to start from: every seventh, and all since the last release. From any of
// them the same statements follow in the same order, so that neighbours show the same; and that
// each statement may run twice is TestDownUndoesUp's.
func pasts(t *testing.T, newest int) (versions []int) {
	t.Helper()
	released := releasedVersion(t)
	for v := range newest {
		if v%7 == 0 || v >= released {
			versions = append(versions, v)
		}
	}
	return versions
}

// TestDownUndoesUp takes the schema away statement by statement and builds it again.
func TestDownUndoesUp(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	ups, downs := readMigrations(t, ".up.sql"), readMigrations(t, ".down.sql")
	if len(ups) != len(downs) {
		t.Fatalf("%d up migrations, %d down", len(ups), len(downs))
	}
	states := []string{dump(db)}
	for _, statement := range ups {
		db.Exec(statement)
		db.Exec(statement) // a node that died may run it twice
		states = append(states, dump(db))
	}
	for i, statement := range slices.Backward(downs) {
		db.Exec(statement)
		db.Exec(statement)
		if diff := cmp.Diff(states[i], dump(db)); diff != "" {
			t.Errorf("down to version %d (-want +got):\n%s", i, diff)
		}
	}
	for _, statement := range ups {
		db.Exec(statement)
	}
	if diff := cmp.Diff(states[len(states)-1], dump(db)); diff != "" {
		t.Errorf("up again (-want +got):\n%s", diff)
	}
}

func TestNodesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := schema.Migrate(t.Context(), db.Options, quiet()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(dump(schematest.New(t)), dump(db)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMigrateFinishesAVersion leaves versions as a program that died leaves them: begun, every
// other one with its statement done.
func TestMigrateFinishesAVersion(t *testing.T) {
	t.Parallel()
	want := dump(schematest.New(t))
	ups := readMigrations(t, ".up.sql")
	var wg sync.WaitGroup
	for _, i := range pasts(t, len(ups)) {
		db := schematest.NewEmpty(t)
		for _, statement := range ups[:i+i%2] {
			db.Exec(statement)
		}
		recordVersion(db, i+1, true)
		wg.Go(func() {
			applied, err := schema.Migrate(t.Context(), db.Options, quiet())
			if err != nil || applied != len(ups)-i {
				t.Errorf("version %d: applied %d, %v", i+1, applied, err)
			}
			if diff := cmp.Diff(want, dump(db)); diff != "" {
				t.Errorf("version %d (-want +got):\n%s", i+1, diff)
			}
		})
	}
	wg.Wait()
}

// TestMigrateWaitsForAnother does not take back what another node may be at.
func TestMigrateWaitsForAnother(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	recordVersion(db, 7, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := schema.Migrate(ctx, db.Options, quiet())
	if err == nil || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("Migrate on a dirty database: %v", err)
	}
}

func TestMigrateLeavesAnUnknownVersion(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	recordVersion(db, 9_999, true)
	_, err := schema.Migrate(t.Context(), db.Options, quiet())
	if err == nil || !strings.Contains(err.Error(), "version 9999") {
		t.Errorf("Migrate on another program's database: %v", err)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	t.Parallel()
	db := schematest.NewEmpty(t)
	recordVersion(db, 9_999, false)
	_, err := schema.Migrate(t.Context(), db.Options, quiet())
	if err == nil || !strings.Contains(err.Error(), "version 9999") {
		t.Errorf("Migrate on a newer database: %v", err)
	}
}

// recordVersion writes what Migrate would find.
func recordVersion(db *schematest.Database, version int, dirty bool) {
	db.Exec(`CREATE TABLE schema_migrations (version Int64, dirty UInt8, sequence UInt64)
		ENGINE = MergeTree ORDER BY sequence`)
	if version == 0 {
		return
	}
	n := 0
	if dirty {
		n = 1
	}
	db.Exec(fmt.Sprintf("INSERT INTO schema_migrations VALUES (%d, %d, 1)", version, n))
}

func readMigrations(t *testing.T, suffix string) []string {
	t.Helper()
	files, err := filepath.Glob("migrations/*" + suffix)
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, string(b))
	}
	return statements
}
