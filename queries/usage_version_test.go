package queries_test

import (
	"testing"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestUsageVersionIsTheAnswers inserts, merges, changes and drops. Seen failing in a copy: a merge
// changed it with max(data_version) alone, a mutation did not without the version.
func TestUsageVersionIsTheAnswers(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	events := twoMonths(t)
	if err := q.InsertEvents(t.Context(), "1", batchOf(events)); err != nil {
		t.Fatal(err)
	}
	january := usageQuestion(t, "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", schema.Day,
		schema.DimensionPurpose)
	february := january
	february.From, february.To = january.To, january.To.AddDate(0, 1, 0)
	version := func(query schema.UsageQuery) string {
		t.Helper()
		v, err := q.UsageVersion(t.Context(), query)
		if err != nil || v == "" {
			t.Fatalf("version %q, %v", v, err)
		}
		return v
	}
	var a, b string
	changed := func(what string, wantJanuary, wantFebruary bool) {
		t.Helper()
		newA, newB := version(january), version(february)
		if (newA != a) != wantJanuary || (newB != b) != wantFebruary {
			t.Errorf("%s: January changed: %t, February: %t", what, newA != a, newB != b)
		}
		a, b = newA, newB
	}
	changed("at first", true, true)
	changed("nothing", false, false)
	var batch queries.EventBatch
	e := events[0]
	e.ID = named("another")
	batch.Append(&e, named("node"), 9)
	if err := q.InsertEvents(t.Context(), "2", &batch); err != nil {
		t.Fatal(err)
	}
	// The table of dimensions is not partitioned: it tells both.
	changed("an insert", true, true)
	optimize := func() {
		for _, table := range []string{"consumption_daily", "dimensions"} {
			db.Exec("OPTIMIZE TABLE " + table + " FINAL")
		}
	}
	optimize()
	changed("a merge", false, false)
	optimize()
	changed("a merge of one part", false, false)
	db.Exec("ALTER TABLE consumption_daily UPDATE unpriced = 7 IN PARTITION 202601 " +
		"WHERE 1 SETTINGS mutations_sync = 2")
	// It passes over every part of the table, whether it changes something there or not.
	changed("a mutation", true, true)
	optimize()
	changed("a merge after it", false, false)
	db.Exec("ALTER TABLE consumption_daily DROP PARTITION 202602")
	changed("a partition dropped", false, true)
	plain := usageQuestion(t, "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", schema.Day)
	before := version(plain)
	db.Exec("ALTER TABLE consumption_daily DROP PARTITION 202601")
	if version(plain) != before {
		t.Error("what is not read changed the version")
	}
	never := usageQuestion(t, "UTC", "2150-01-01T00:00:00Z", "2150-02-01T00:00:00Z", schema.Day)
	if v, err := q.UsageVersion(t.Context(), never); err != nil || v != "" {
		t.Errorf("of a range that nothing is in: %q, %v", v, err)
	}
}
