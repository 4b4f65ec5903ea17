package queries_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestQuestionsUseTheirIndexes holds what EXPLAIN indexes = 1 says of every question against a
// golden file, so that a lost primary key or partition prune is a diff. The data is fixed: four
// months of eight organizations of eight agents, one part a month.
func TestQuestionsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	for _, table := range []string{
		"usage_events", "agent_usage_15m", "billable_hourly", "consumption_daily",
		"consumption_monthly", "dimensions", "report_intents", "report_outcomes",
	} {
		// What EXPLAIN counts must not depend on when a merge ran.
		db.Exec("SYSTEM STOP MERGES " + table)
	}
	db.Exec("OPTIMIZE TABLE schema_migrations FINAL") // of its parts some were merged before
	start := at(t, "2026-01-01T00:00:00Z")
	var b queries.EventBatch
	for month := range 4 {
		for i := range 20_000 {
			b.Append(&schema.Event{
				Organization: named(fmt.Sprint("organization ", i%8)),
				Agent:        named(fmt.Sprint("agent ", i/8%8)),
				ID:           named(fmt.Sprint("event ", month, i)), Entry: schema.Record,
				User: named(fmt.Sprint("user ", i/64%32)),
				Time: start.AddDate(0, month, 0).Add(time.Duration(i) * 2 * time.Minute),
				Measurements: []schema.Measurement{
					{UsageType: schema.Units, Quantity: schema.WholeQuantity(1)},
				},
			}, named("node"), uint64(i))
		}
	}
	if err := q.InsertEvents(t.Context(), "t", &b); err != nil {
		t.Fatal(err)
	}
	reported(t, q, start)
	id := named("organization 3")
	asked := queries.AllAsked(id,
		start.AddDate(0, 1, 1).Add(time.Second), start.AddDate(0, 2, -1).Add(time.Second))
	for _, a := range asked {
		rows, err := db.Conn.Query(t.Context(), "EXPLAIN indexes = 1 "+a.Text, a.Args...)
		if err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		var lines []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("testdata", "explain", a.Name+".txt"),
			indexSection(lines, id, db.Name))
	}
}

// reported tells Stripe of four months of hours of eight organizations.
func reported(t *testing.T, q *queries.Queries, start time.Time) {
	t.Helper()
	b := queries.IntentBatch{Number: 1, ID: named("batch")}
	var outcomes []schema.Outcome
	for i := range 8 * 24 * 120 {
		s := schema.Slot{
			Organization: named(fmt.Sprint("organization ", i%8)), Meter: "usage",
			Start: start.Add(time.Duration(i/8) * time.Hour),
		}
		b.Intents = append(b.Intents, schema.Intent{
			Slot: s, Revision: 1, Mode: schema.Preaggregated, Identifier: s.String(),
			CreatedAt: s.End(), Writer: named("writer"),
		})
		outcomes = append(outcomes, schema.Outcome{
			Slot: s, Revision: 1, Verdict: schema.Accepted, At: s.End(), Writer: named("writer"),
		})
	}
	if err := q.FreezeIntents(t.Context(), b, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := q.InsertOutcomes(t.Context(), outcomes); err != nil {
		t.Fatal(err)
	}
}

// indexSection keeps the tables that are read and what their indexes left of them.
func indexSection(lines []string, id uuid.UUID, database string) string {
	var out strings.Builder
	inside := -1 // the indentation of "Indexes:" while below it
	for _, line := range lines {
		text := strings.TrimLeft(line, " │├└─")
		depth := utf8.RuneCountInString(line) - utf8.RuneCountInString(text)
		if inside >= 0 && depth <= inside {
			inside = -1
		}
		switch {
		case strings.HasPrefix(text, "ReadFrom"):
			fmt.Fprintln(&out, text)
		case text == "Indexes:":
			inside = depth
		case inside >= 0:
			fmt.Fprintln(&out, strings.Repeat(" ", depth-inside)+text)
		}
	}
	return strings.NewReplacer(id.String(), "ID", database+".", "").Replace(out.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites it:\n%s", path, diff)
	}
}
