package schema_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// onlyAdds is the rule of docs/operations.md#upgrades.
const onlyAdds = "nodes of the release before run on while a new program migrates: a migration " +
	"may add a table, a view, a column with a default, an index, a projection or a setting; it may " +
	"not drop, rename, replace or change what that release reads or writes. Do that in the release " +
	"after, or list the migration in excused with the reason why that release does not notice"

// excused are migrations after the last release that do more than add, by the name of their file
// without its number, and why the release before does not notice.
var excused = map[string]string{
	"metered_hourly_retired": "the view has the same columns, and other rows only of organizations " +
		"that are retired",
}

// TestMigrationsOnlyAdd holds what came after the last release to the rule. With a migration that
// drops users.email and one that replaces the view report_slots it named both.
func TestMigrationsOnlyAdd(t *testing.T) {
	released := releasedVersion(t)
	files, err := filepath.Glob("migrations/*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	if released < 1 || released > len(files) {
		t.Fatalf("version %d is said to be released, there are %d migrations", released, len(files))
	}
	var names, statements []string
	for _, file := range files[released:] {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".up.sql"), "_")
		names, statements = append(names, name), append(statements, string(text))
	}
	for i, why := range changes(statements) {
		if why != "" && excused[names[i]] == "" {
			t.Errorf("migration %s: %s: %s", names[i], why, onlyAdds)
		}
		if why == "" && excused[names[i]] != "" {
			t.Errorf("migration %s is excused and needs no excuse", names[i])
		}
	}
	for name := range excused {
		if !slices.Contains(names, name) {
			t.Errorf("migration %s is excused and is not after the last release", name)
		}
	}
}

// releasedVersion reads the schema version of the last release.
func releasedVersion(t *testing.T) (version int) {
	t.Helper()
	text, err := os.ReadFile("../.ci/released")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var commit string
	if _, err := fmt.Sscan(lines[len(lines)-1], &commit, &version); err != nil {
		t.Fatalf(".ci/released: %v", err)
	}
	return version
}

var (
	sqlComment = regexp.MustCompile(`(?m)--.*$`)
	sqlString  = regexp.MustCompile(`'(?:[^'\\]|\\.|'')*'`)
	sqlNested  = regexp.MustCompile(`\([^()]*\)`)
	sqlSpaces  = regexp.MustCompile(`\s+`)

	creates = regexp.MustCompile(
		`^CREATE (?:TABLE|VIEW|MATERIALIZED VIEW|DICTIONARY) IF NOT EXISTS (\w+)`)
	replaces = regexp.MustCompile(
		`^(?:CREATE OR REPLACE|DROP|TRUNCATE) (?:TABLE|VIEW|DICTIONARY) (?:IF EXISTS )?(\w+)`)
	alters = regexp.MustCompile(`^ALTER TABLE (\w+) (.*)$`)
	// A column that states no default has its type's: what does not know it may still insert.
	adds = regexp.MustCompile(`^(?:ADD (?:COLUMN|INDEX|PROJECTION) IF NOT EXISTS .*|` +
		`MATERIALIZE (?:INDEX|PROJECTION) .*|MODIFY SETTING .*|\w+ = \S+)$`) // a second setting
)

// changes returns of each of a run of migrations what of it is more than adding; empty: nothing.
// What one of them makes, those after it may change as they like: no release knows it.
func changes(statements []string) []string {
	all := make([]string, len(statements))
	made := make(map[string]bool)
	for i, statement := range statements {
		s := sqlString.ReplaceAllString(sqlComment.ReplaceAllString(statement, ""), "x")
		s = strings.TrimSpace(sqlSpaces.ReplaceAllString(s, " "))
		flat := s
		for sqlNested.MatchString(flat) {
			flat = sqlNested.ReplaceAllString(flat, "")
		}
		if m := creates.FindStringSubmatch(s); m != nil {
			made[m[1]] = true
		} else if m := alters.FindStringSubmatch(flat); m != nil {
			for _, clause := range strings.Split(m[2], ", ") {
				if !made[m[1]] && !adds.MatchString(clause) {
					all[i] = fmt.Sprintf("%q of %s does more than add", clause, m[1])
				}
			}
		} else if m := replaces.FindStringSubmatch(s); m == nil || !made[m[1]] {
			all[i] = fmt.Sprintf("%.60q does more than add", s)
		}
	}
	return all
}

// TestWhatOnlyAdds tells additions from changes.
func TestWhatOnlyAdds(t *testing.T) {
	f := func(want bool, statements ...string) {
		t.Helper()
		why := changes(statements)
		if got := why[len(why)-1] == ""; got != want {
			t.Errorf("%q only adds: %v (%q), want %v", statements[len(why)-1], got, why, want)
		}
	}
	const table = "-- It's new.\nCREATE TABLE IF NOT EXISTS t (a UInt8, b String) ENGINE = MergeTree"
	f(true, table)
	f(true, "CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS SELECT 1")
	f(true, "ALTER TABLE u ADD COLUMN IF NOT EXISTS c DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')")
	f(true, "ALTER TABLE u\n  ADD COLUMN IF NOT EXISTS c UInt8,\n  ADD INDEX IF NOT EXISTS i (c, d) "+
		"TYPE minmax")
	f(true, "ALTER TABLE u MODIFY SETTING one = 1, two = 2")
	f(true, table, "ALTER TABLE t DROP COLUMN b")
	f(true, table, "DROP TABLE IF EXISTS t")
	f(false, "ALTER TABLE u DROP COLUMN IF EXISTS b")
	f(false, "ALTER TABLE u ADD COLUMN IF NOT EXISTS c UInt8, DROP COLUMN IF EXISTS b")
	f(false, "ALTER TABLE u RENAME COLUMN b TO c")
	f(false, "ALTER TABLE u MODIFY COLUMN b UInt64")
	f(false, "ALTER TABLE u MODIFY TTL day + INTERVAL 1 YEAR")
	f(false, "ALTER TABLE u ADD CONSTRAINT c CHECK a > 0")
	f(false, "ALTER TABLE v MODIFY QUERY SELECT 2")
	f(false, "ALTER TABLE u UPDATE a = 1 WHERE b = 2")
	f(false, "CREATE OR REPLACE VIEW v AS SELECT 1")
	f(false, "DROP TABLE IF EXISTS u")
	f(false, "DROP VIEW IF EXISTS v")
	f(false, "RENAME TABLE u TO t")
	f(false, "INSERT INTO u SELECT 1")
	f(false, "TRUNCATE TABLE u")
}
