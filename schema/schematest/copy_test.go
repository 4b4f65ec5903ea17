package schematest

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/schema"
)

// TestCopiesAreAlike: what the tests run on is what migrations make, to the last comment.
func TestCopiesAreAlike(t *testing.T) {
	migrated := NewEmpty(t)
	began := time.Now()
	_, err := schema.Migrate(t.Context(), migrated.Options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("migrated in %v", time.Since(began))
	New(t)
	began = time.Now()
	copied := New(t)
	t.Logf("copied in %v", time.Since(began))
	if diff := cmp.Diff(contents(migrated), contents(copied)); diff != "" {
		t.Errorf("(-migrated +copied):\n%s", diff)
	}
}

func contents(d *Database) string {
	rows := d.Strings(`SELECT create_table_query FROM system.tables
		WHERE database = currentDatabase() ORDER BY name`)
	rows = append(rows, d.Strings("SELECT toString((version, dirty)) FROM schema_migrations "+
		"ORDER BY version, dirty")...)
	return strings.ReplaceAll(strings.Join(rows, "\n"), d.Name, "DATABASE")
}
