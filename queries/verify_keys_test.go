package queries_test

import (
	"fmt"
	"testing"

	"github.com/meterhouse/meterhouse/queries"
)

// TestVerifyFindsWhatIsCountedForAnotherKey moves five of a sum, in each rollup, from one value of each
// column of its key to another: every sum by day stays. Without the comparison of keys none of it is
// found, without a column in their hash not what that column moved, without a sum in what they weigh
// not what that sum moved.
func TestVerifyFindsWhatIsCountedForAnotherKey(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	if err := q.InsertEvents(t.Context(), "t", batchOf(twoMonths(t))); err != nil {
		t.Fatal(err)
	}
	type place struct{ table, usageType string }
	moved := make(map[place]bool) // each of a usage type of its own
	rollup := func(table, period, at string, columns ...[3]string) {
		t.Helper()
		move := func(c [3]string, sum string) {
			t.Helper()
			names, before := c[0], ""
			if c[0] != period {
				names, before = period+", "+c[0], "'"+at+"', "
			}
			usageType := c[0] + " " + sum
			db.Exec(fmt.Sprintf("INSERT INTO %[1]s (organization_id, usage_type, %[2]s, %[3]s) "+
				"VALUES ('%[4]s', '%[5]s', %[6]s'%[7]s', -5), ('%[4]s', '%[5]s', %[6]s'%[8]s', 5)",
				table, names, sum, named("acme"), usageType, before, c[1], c[2]))
			moved[place{table, usageType}] = true
		}
		for _, c := range columns {
			move(c, "quantity")
		}
		for _, sum := range []string{
			"provider_cost", "billed_cost", "events", "measurements", "unpriced",
		} {
			move(columns[0], sum)
		}
	}
	const one, two = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	model, chargeable := [3]string{"model", "", "m"}, [3]string{"chargeable", "0", "1"}
	agent, user := [3]string{"agent_id", one, two}, [3]string{"user_id", one, two}
	dimension := [3]string{"dimension_id", "1", "2"}
	rollup(queries.BillableHourly, "hour", "2026-01-31 23:00:00",
		[3]string{"hour", "2026-01-31 00:00:00", "2026-01-31 23:00:00"}, model, chargeable)
	rollup(queries.AgentUsage15m, "slot", "2026-01-31 23:45:00",
		[3]string{"slot", "2026-01-31 23:30:00", "2026-01-31 23:45:00"},
		[3]string{"service", "", "s"}, agent, model, chargeable)
	rollup(queries.ConsumptionMonthly, "month", "2026-01-01", agent, user, dimension)
	rollup(queries.ConsumptionDaily, "day", "2026-01-31", agent, user, dimension)

	all, err := q.VerifyRollups(t.Context(), queries.VerifyParams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		delta := d.Rollup.Sub(d.Ledger)
		if d.Organization != named("acme") || d.Period.Format("2006-01") != "2026-01" ||
			delta.Keys == 0 || delta != (queries.Sums{Keys: delta.Keys}) {
			t.Errorf("found %+v", d)
		}
		delete(moved, place{d.Table, d.UsageType})
	}
	for p := range moved {
		t.Errorf("%s: %s is not found", p.table, p.usageType)
	}

	// An erasure that is under way replaces users of the ledger and of these one after the other.
	db.Exec(fmt.Sprintf("INSERT INTO erasures (id, organization_id, user_id) VALUES "+
		"(generateUUIDv4(), '%s', generateUUIDv4())", named("acme")))
	all, err = q.VerifyRollups(t.Context(), queries.VerifyParams{})
	if err != nil || len(all) == 0 {
		t.Errorf("while a user is replaced: %+v, %v", all, err)
	}
	for _, d := range all {
		if d.Table == queries.ConsumptionDaily || d.Table == queries.ConsumptionMonthly {
			t.Errorf("while a user is replaced: %s differs by its keys alone", d.Table)
		}
	}
}
