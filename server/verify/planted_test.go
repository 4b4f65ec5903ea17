package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// TestRebuildOfAMonthSeesAllOfItsDays has more wrong rows in other tables and on other days than one
// answer tells of, and one wrong day after them. With what is told bounded for all tables together,
// or only one answer asked for, the month stays as wrong as that day.
func TestRebuildOfAMonthSeesAllOfItsDays(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	store(t, q, named("node"), 100, someDay, someDay.AddDate(0, 0, -20))
	for _, at := range []string{
		"agent_usage_15m (slot", "consumption_daily (day",
	} {
		db.Exec("INSERT INTO " + at + ", organization_id, quantity) " +
			"SELECT toDate('2026-03-02'), generateUUIDv4(), 1 FROM numbers(1100)")
	}
	db.Exec("ALTER TABLE consumption_daily DELETE WHERE day = '2026-03-31' " +
		"SETTINGS mutations_sync = 2")
	db.Exec("ALTER TABLE consumption_monthly DROP PARTITION 2026")
	v := verify.New(verify.Config{Queries: q, Settle: time.Millisecond})
	if err := v.Rebuild(t.Context(), verify.RebuildParams{
		Tables: []string{queries.ConsumptionMonthly},
		From:   someDay.AddDate(0, 0, -20), To: someDay.AddDate(0, 0, -19),
	}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []queries.RebuildParams{
		{Table: queries.ConsumptionDaily, From: someDay, To: someDay.AddDate(0, 0, 1)},
		{Table: queries.ConsumptionMonthly, From: someDay.AddDate(0, 0, -30),
			To: someDay.AddDate(0, 0, 1)},
	} {
		if lacks, err := q.RebuildChanges(t.Context(), p); err != nil || len(lacks) > 0 {
			t.Errorf("%s lacks %+v, %v", p.Table, lacks, err)
		}
	}
}

// TestEachKindIsNamed plants, each in an organization of its own, what verify is for, and wants it
// named with the organization, the day and the table, and nothing else.
func TestEachKindIsNamed(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	var want []string
	expect := func(format string, args ...any) { want = append(want, fmt.Sprintf(format, args...)) }
	// An event of an organization of its name, as a row of the ledger.
	event := func(organization, entry string, node uuid.UUID, sequence int) {
		t.Helper()
		db.Exec(fmt.Sprintf("INSERT INTO usage_events (organization_id, event_id, entry, event_time, "+
			"ingest_time, usage_type, quantity, pricing, node, sequence) VALUES ('%[1]s', '%[1]s', "+
			"'%[2]s', '2026-03-31 12:10:00', now64(6), 'UNITS', 5, 'given', '%[3]s', %[4]d)",
			named(organization), entry, node, sequence))
	}
	node := func(n byte) uuid.UUID { return uuid.UUID{6: 0x40, 8: 0x80, 15: n} } // of a log
	event("twice", "record", node(1), 1)
	event("twice", "record", node(1), 1)
	expect("event: usage_events: organization %[1]s, event %[1]s of 2026-03-31: counts more than once ",
		named("twice"))
	expect("sequence: usage_events: node %s, sequences 1..1: 1 of 2 events, ", node(1))
	event("before the gap", "record", node(2), 1)
	event("after the gap", "record", node(2), 3)
	expect("sequence: usage_events: node %s stored 1 events of its log that the ledger does not have: "+
		"sequences 2", node(2))

	event("not in the journal", "reversal", named("a UUID of version 5"), 1)
	expect("correction: corrections: organization %s, number 1 is applied and not in the journal (0)",
		named("not in the journal"))
	expect("event: usage_events: organization %[1]s, event %[1]s of 2026-03-31: is reversed more than "+
		"once, or reversed and never recorded ", named("not in the journal"))

	of := func(organization string) string {
		return fmt.Sprintf(" WHERE organization_id = '%s'", named(organization))
	}
	event("not described", "record", node(3), 1)
	db.Exec("ALTER TABLE dimensions DELETE" + of("not described") + " SETTINGS mutations_sync = 2")
	event("described twice", "record", node(3), 2)
	db.Exec("SYSTEM STOP MERGES dimensions") // of two descriptions a merge keeps one
	db.Exec("INSERT INTO dimensions SELECT * REPLACE ('other' AS service) FROM dimensions" +
		of("described twice"))
	for organization, times := range map[string]int{"not described": 0, "described twice": 2} {
		expect("dimension: dimensions: organization %s, dimension %s, in use since 2026-03-31: "+
			"described %d times", named(organization), db.Strings("SELECT toString(dimension_id) " +
			"FROM consumption_daily" + of(organization))[0], times)
	}
	event("without a place", "record", node(3), 3)
	db.Exec(fmt.Sprintf("ALTER TABLE event_places DELETE WHERE key = "+
		"toUInt32(cityHash64(toUUID('%[1]s'), toUUID('%[1]s'))) SETTINGS mutations_sync = 2",
		named("without a place")))
	expect("place: event_places: 2026-03-31: 1 events have no place ")
	want = append(want, plantCorrections(db.Exec)...)
	want = append(want, plantInRollups(event, db.Exec, node)...)

	found := strings.Split(texts(t, verify.New(verify.Config{
		Queries: q, Settle: time.Millisecond,
	})), "\n")
	for i, text := range found {
		for _, w := range want {
			if strings.HasPrefix(text, w) {
				found[i] = w
			}
		}
	}
	slices.Sort(found)
	slices.Sort(want)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// plantInRollups has each rollup count something for another key, past the views on it, and returns
// what is to be found.
func plantInRollups(
	event func(organization, entry string, node uuid.UUID, sequence int),
	exec func(string, ...any), node func(byte) uuid.UUID,
) (want []string) {
	for i, r := range []struct{ table, shown, partition, key, value string }{
		{queries.AgentUsage15m, "2026-03-31", "202603", "agent_id", "generateUUIDv4()"},
		{queries.BillableHourly, "2026-03-31", "202603", "hour", "hour + INTERVAL 1 HOUR"},
		{queries.ConsumptionDaily, "2026-03-31", "202603", "user_id", "generateUUIDv4()"},
		{queries.ConsumptionMonthly, "2026-03-01", "2026", "dimension_id", "7"},
	} {
		organization := named(r.table)
		event(r.table, "record", node(4), i+1)
		want = append(want, fmt.Sprintf("rollup: %s: organization %s, %s, UNITS: keys differ: "+
			"the sums are right (quantity 5, events 1, measurements 1), ", r.table, organization, r.shown))
		// A column of the sort order is not updated: the row goes, and comes with another value.
		exec("CREATE TABLE planted AS " + r.table)
		exec(fmt.Sprintf("INSERT INTO planted SELECT * REPLACE (%s AS %s) FROM %s "+
			"WHERE organization_id = '%s'", r.value, r.key, r.table, organization))
		exec(fmt.Sprintf("ALTER TABLE %s DELETE WHERE organization_id = '%s' "+
			"SETTINGS mutations_sync = 2", r.table, organization))
		exec("ALTER TABLE " + r.table + " ATTACH PARTITION " + r.partition + " FROM planted")
		exec("DROP TABLE planted SYNC")
	}
	return want
}

// plantCorrections breaks the journal in every way but one that needs the ledger, and returns what is
// to be found.
func plantCorrections(exec func(string, ...any)) (want []string) {
	for _, p := range []struct {
		numbers, applied []int
		problem          string
	}{
		{[]int{1, 1}, []int{1}, "number 1 is in the journal more than once (2)"},
		{[]int{2}, []int{2}, "number 2 is the newest, and numbers before it are missing (1)"},
		{[]int{1}, nil, "number 1 is not applied (1)"},
	} {
		organization := named(p.problem)
		for _, n := range p.numbers {
			exec(fmt.Sprintf("INSERT INTO corrections (organization_id, number, id, events) VALUES "+
				"('%s', %d, generateUUIDv4(), 1)", organization, n))
		}
		for _, n := range p.applied {
			exec(fmt.Sprintf("INSERT INTO corrections_applied VALUES ('%s', %d)", organization, n))
		}
		want = append(want, fmt.Sprintf("correction: corrections: organization %s, %s",
			organization, p.problem))
	}
	return want
}
