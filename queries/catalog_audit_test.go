package queries_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// What is on record of a change is told once, the newest first, and only of changes that were
// announced.
func TestAuditTellsWhatHappened(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	entry := func(organization, id string, action schema.AuditAction) schema.AuditEntry {
		return schema.AuditEntry{
			Organization: named(organization), Kind: "agent", ID: id, Action: action,
			Before: hostile, After: `{"id":1}`,
		}
	}
	changed := at(t, "2026-11-22T10:00:00.000001Z")
	save := func(version uint64, entries ...schema.AuditEntry) {
		t.Helper()
		if err := q.SaveCatalog(t.Context(), schema.CatalogChange{
			Version: version, At: changed, Actor: "ada", Audit: entries,
		}); err != nil {
			t.Fatal(err)
		}
	}
	save(7, entry("acme", "one", schema.Created), entry("", "two", schema.Changed))
	save(8, entry("other", "three", schema.Retired))
	save(8, entry("other", "three", schema.Retired))
	save(9, entry("acme", "never announced", schema.Created))
	db.Exec("ALTER TABLE catalog_changes DELETE WHERE version = 9 SETTINGS mutations_sync = 2")

	ask := func(organization string, version, ordinal, limit uint64, want ...string) {
		t.Helper()
		var id uuid.UUID
		if organization != "" {
			id = named(organization)
		}
		got, err := q.CatalogAudit(t.Context(), queries.CatalogAuditParams{
			Organization: id, Version: version, Ordinal: ordinal, Limit: limit,
		})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range got {
			ids = append(ids, e.ID)
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%q before %d.%d (-want +got):\n%s", organization, version, ordinal, diff)
		}
	}
	const newest = 1 << 63
	ask("", newest, 0, 100, "three", "two", "one")
	ask("", newest, 0, 2, "three", "two")
	ask("", 7, 1, 2, "one")
	ask("", 7, 0, 2)
	ask("acme", newest, 0, 100, "one")

	got, err := q.CatalogAudit(t.Context(),
		queries.CatalogAuditParams{Organization: named("acme"), Version: newest, Limit: 1})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	want := entry("acme", "one", schema.Created)
	want.Version, want.At, want.Actor = 7, changed, "ada"
	if diff := cmp.Diff(want, got[0], cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
