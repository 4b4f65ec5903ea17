package queries_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

var parameter = regexp.MustCompile(`\{([a-z_0-9]+):[^}]+\}`)

// TestEveryFileHasItsTwin needs no database: each .sql file is asked or inserted by this package,
// and receives exactly the parameters it names.
func TestEveryFileHasItsTwin(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, path := range paths {
		files = append(files, strings.TrimSuffix(path, ".sql"))
	}
	twins := queries.AllInserted()
	for _, q := range queries.AllAsked(uuid.UUID{}, time.Time{}, time.Time{}) {
		twins = append(twins, q.Name)
		var named, given []string
		for _, match := range parameter.FindAllStringSubmatch(q.Text, -1) {
			named = append(named, match[1])
		}
		for _, arg := range q.Args {
			given = append(given, arg.(driver.NamedValue).Name)
		}
		slices.Sort(named)
		slices.Sort(given)
		if diff := cmp.Diff(slices.Compact(named), given); diff != "" {
			t.Errorf("%s: parameters (-named +given):\n%s", q.Name, diff)
		}
	}
	slices.Sort(files)
	slices.Sort(twins)
	if diff := cmp.Diff(files, twins); diff != "" {
		t.Errorf("(-files +twins):\n%s", diff)
	}
}

// TestFilesAreOneStatement is what lets a file run unchanged in clickhouse-client.
func TestFilesAreOneStatement(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if !strings.HasPrefix(text, "-- ") {
			t.Errorf("%s does not open with its question", path)
		}
		if strings.Contains(text, ";") {
			t.Errorf("%s holds a semicolon", path)
		}
		for i, line := range strings.Split(text, "\n") {
			if len(line) > 100 {
				t.Errorf("%s:%d is over 100 columns", path, i+1)
			}
		}
	}
}

// TestBatchColumnsAreTheFiles ties the order of an EventBatch to the insert's.
func TestBatchColumnsAreTheFiles(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("insert_events.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(b), "(")
	list, _, _ = strings.Cut(list, ")")
	var columns []string
	for _, c := range strings.Split(list, ",") {
		columns = append(columns, strings.TrimSpace(c))
	}
	if diff := cmp.Diff(columns, queries.EventColumns()); diff != "" {
		t.Errorf("(-insert_events.sql +EventBatch):\n%s", diff)
	}
}
