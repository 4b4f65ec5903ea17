package queries_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestEventsAreFoundByTheirPlaces: an event is found by what event_places says, whichever agent it
// was moved to; and just as well where places were not noted, all of them or some. Without the
// search, "none" and "some" failed: nothing was found, or one revision of three. With a search only
// for what is not found at all, "some" failed: the moved event began with its third revision.
func TestEventsAreFoundByTheirPlaces(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	organization, node := named("acme"), named("node")
	corrections := schema.CorrectionsNode(organization)
	start := at(t, "2026-05-20T10:00:00Z")
	event := func(name, agent string, revision uint32, units int64) schema.Event {
		return schema.Event{
			Organization: organization, ID: named(name), Agent: named(agent), Time: start,
			IngestTime: start.Add(time.Duration(revision) * time.Minute),
			Entry:      schema.Record, Revision: revision,
			Measurements: []schema.Measurement{
				{UsageType: schema.Units, Quantity: schema.WholeQuantity(units)},
			},
		}
	}
	insert := func(token string, node uuid.UUID, sequence uint64, events ...schema.Event) {
		t.Helper()
		var b queries.EventBatch
		for i := range events {
			b.Append(&events[i], node, sequence)
		}
		if err := q.InsertEvents(t.Context(), token, &b); err != nil {
			t.Fatal(err)
		}
	}
	moved := func(revision uint32) schema.Event {
		return event("moved", []string{"a", "b", "c"}[revision], revision, int64(revision+1))
	}
	insert("1", node, 1, event("plain", "a", 0, 1), event("voided", "a", 0, 1), moved(0))
	insert("2", corrections, 1, reversed(moved(0)), moved(1))
	insert("3", corrections, 2, reversed(moved(1)), moved(2))
	insert("4", corrections, 3, reversed(event("voided", "a", 0, 1)))

	check := func(t *testing.T) {
		t.Helper()
		for name, want := range map[string]struct {
			revisions int
			units     int64 // 0: no record
		}{"plain": {1, 1}, "moved": {3, 3}, "voided": {1, 0}, "unknown": {0, 0}} {
			all, err := q.EventRevisions(t.Context(), queries.EventParams{
				Organization: organization, Event: named(name),
			})
			if err != nil || len(all) != want.revisions {
				t.Errorf("%s has %d revisions, %v; want %d", name, len(all), err, want.revisions)
			}
			r, ok, err := q.UsageRecord(t.Context(), queries.UsageRecordParams{
				Organization: organization, Event: named(name),
			})
			if err != nil || ok != (want.units > 0) || r.Units != schema.WholeQuantity(want.units) {
				t.Errorf("%s counts %v, %v, %v; want %d", name, r.Units, ok, err, want.units)
			}
			_, ok, err = q.UsageRecord(t.Context(), queries.UsageRecordParams{
				Organization: named("other"), Event: named(name),
			})
			if err != nil || ok {
				t.Errorf("another organization sees %s: %v", name, err)
			}
		}
	}
	lacking := func(t *testing.T, want uint64) {
		t.Helper()
		defects, err := q.VerifyPlaces(t.Context(), queries.VerifyParams{})
		if err != nil {
			t.Fatal(err)
		}
		got := uint64(0)
		for _, d := range defects {
			got += d.Lacking
		}
		if got != want {
			t.Errorf("%d places are lacking, want %d", got, want)
		}
	}
	t.Run("all", func(t *testing.T) { check(t); lacking(t, 0) })
	db.Exec("TRUNCATE TABLE event_places")
	t.Run("none", func(t *testing.T) { check(t); lacking(t, 5) })
	db.Exec(`INSERT INTO event_places SELECT toUInt32(cityHash64(organization_id, event_id)),
		event_time, agent_id FROM usage_events WHERE ordinal = 0 AND revision = 2`)
	t.Run("some", func(t *testing.T) { check(t); lacking(t, 4) })
	for range 2 { // the second time there is nothing to do
		err := q.RebuildEventPlaces(t.Context(), queries.RebuildParams{
			From: start.Truncate(24 * time.Hour), To: start.Truncate(24*time.Hour).AddDate(0, 0, 2),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Run("written", func(t *testing.T) {
			check(t)
			lacking(t, 0)
			if rows := db.Strings("SELECT toString(count()) FROM event_places FINAL")[0]; rows != "5" {
				t.Errorf("event_places has %s rows, want 5", rows)
			}
		})
	}
}
