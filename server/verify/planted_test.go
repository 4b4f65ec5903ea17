package verify_test

import (
	"strings"
	"testing"
	"time"

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
	all, err := q.VerifyRollups(t.Context(), queries.VerifyParams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if strings.HasPrefix(d.Table, "consumption") {
			t.Fatalf("after the rebuild: %+v, and %d more", d, len(all))
		}
	}
}
