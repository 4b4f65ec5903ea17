package schematest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/meterhouse/meterhouse/schema"
)

// pattern is how the process's first migrated database was made: the others are made alike, without
// the bookkeeping of sixty migrations. TestCopiesAreAlike holds a copy against a migrated one.
var pattern struct {
	sync.Mutex
	of         string   // the database's name
	statements []string // in an order in which each finds what it needs
	version    string   // of its migrations
}

// migrate gives d the newest schema.
func (d *Database) migrate(ctx context.Context) error {
	pattern.Lock()
	if pattern.statements == nil {
		defer pattern.Unlock()
		return d.becomePattern(ctx)
	}
	pattern.Unlock()
	for _, statement := range pattern.statements {
		if err := d.TryExec(strings.ReplaceAll(statement, pattern.of, d.Name)); err != nil {
			return err
		}
	}
	return d.TryExec("INSERT INTO schema_migrations VALUES " + pattern.version)
}

func (d *Database) becomePattern(ctx context.Context) error {
	if _, err := schema.Migrate(ctx, d.Options, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	// Tables before views, and a view behind those that it reads.
	var ordered []string
	known := make(map[string]bool)
	waiting := d.Strings(`SELECT name, create_table_query FROM system.tables
		WHERE database = currentDatabase() ORDER BY engine LIKE '%View', name`)
	for len(waiting) > 0 {
		var later []string
		for _, row := range waiting {
			name, statement, _ := strings.Cut(row, " ")
			if d.ready(name, statement, waiting, known) {
				ordered, known[name] = append(ordered, statement), true
			} else {
				later = append(later, row)
			}
		}
		if len(later) == len(waiting) {
			return fmt.Errorf("%d tables need each other", len(later))
		}
		waiting = later
	}
	version := d.Strings(`SELECT formatRowNoNewline('Values', version, dirty, sequence)
		FROM schema_migrations ORDER BY sequence`)
	pattern.of, pattern.statements = d.Name, ordered
	pattern.version = strings.Join(version, ", ")
	return nil
}

// ready reports whether a table's statement names none that is still to be made.
func (d *Database) ready(name, statement string, waiting []string, known map[string]bool) bool {
	for _, row := range waiting {
		other, _, _ := strings.Cut(row, " ")
		if other == name || known[other] {
			continue
		}
		for _, end := range []string{" ", ")", "\n"} {
			if strings.Contains(statement+"\n", d.Name+"."+other+end) {
				return false
			}
		}
	}
	return true
}
