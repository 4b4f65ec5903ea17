package engine

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	chmigrate "github.com/golang-migrate/migrate/v4/database/clickhouse"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

func TestMigrateRunsOnIt(t *testing.T) {
	conn := open(t)
	execSQL(t, conn, "DROP TABLE IF EXISTS migrated")
	execSQL(t, conn, "DROP TABLE IF EXISTS schema_migrations")
	steps := fstest.MapFS{
		"1_create.up.sql": {Data: []byte(
			"-- A comment first.\nCREATE TABLE migrated (a UInt8) ENGINE = MergeTree ORDER BY a")},
		"1_create.down.sql": {Data: []byte("DROP TABLE migrated")},
		"2_column.up.sql":   {Data: []byte("ALTER TABLE migrated ADD COLUMN b String DEFAULT ';'")},
		"2_column.down.sql": {Data: []byte("ALTER TABLE migrated DROP COLUMN b")},
	}
	source, err := iofs.New(steps, ".")
	if err != nil {
		t.Fatal(err)
	}
	target, err := chmigrate.WithInstance(openSQL(t), &chmigrate.Config{
		MigrationsTableEngine: "MergeTree", DatabaseName: "default",
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", source, "clickhouse", target)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Up(); err != nil {
		t.Fatal(err)
	}
	if err := m.Up(); !errors.Is(err, migrate.ErrNoChange) {
		t.Errorf("second run: %v, want no change", err)
	}
	if n := scalar[uint64](t, conn,
		"SELECT count() FROM system.columns WHERE table = 'migrated'"); n != 2 {
		t.Errorf("%d columns, want 2", n)
	}
	if err := m.Down(); err != nil {
		t.Fatal(err)
	}
}
