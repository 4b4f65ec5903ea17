package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/verify"
)

// damage is one way in which a rollup stops being the sum of the ledger.
type damage struct {
	name, sql string
	day       int // which of the days shows it
}

// damages are all ways, each at an organization and a day of its own. COLUMN is the table's time,
// DAY, OLD a day that is written to and one in a month that nothing is written to.
func damages(table, column string) []damage {
	const at = " WHERE organization_id = '%s' AND toDate(" + "COLUMN" + ") = DAY"
	of := func(i int) string { return fmt.Sprintf(at, named(fmt.Sprint("organization ", i))) }
	all := []damage{
		{"rows missing", "ALTER TABLE TABLE DELETE" + of(0) + " SETTINGS mutations_sync = 2", 0},
		{"rows doubled", "INSERT INTO TABLE SELECT * FROM TABLE" + of(1), 0},
		{"an extra row", "INSERT INTO TABLE (organization_id, COLUMN, usage_type, quantity) " +
			"VALUES (generateUUIDv4(), DAY, 'NOBODYS', 5)", 0},
		{"a wrong sum", "INSERT INTO TABLE (organization_id, COLUMN, usage_type, quantity) VALUES ('" +
			named("organization 2").String() + "', DAY, 'INPUT', 7)", 0},
		{"a part detached", "ALTER TABLE TABLE DETACH PARTITION OLDPARTITION", 1},
	}
	for i := range all {
		all[i].sql = strings.NewReplacer("TABLE TABLE", "TABLE "+table, "INTO TABLE", "INTO "+table,
			"FROM TABLE", "FROM "+table, "COLUMN", column).Replace(all[i].sql)
	}
	return all
}

// TestDamageIsFoundAndMendedUnderLoad damages every rollup in every way, two nodes writing to the
// same days without a pause, and wants each found, nothing else found before or after, and after a
// rebuild, with the nodes still writing, every sum as it was sent.
//
// With the hold removed from verification (what differs in two looks is reported), it reports
// differences of today before there was any damage.
func TestDamageIsFoundAndMendedUnderLoad(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	day, old := today.AddDate(0, 0, -1), today.AddDate(0, 0, -62)
	var writers []*writer
	for seed := range uint64(2) {
		days := []time.Time{day, old}
		writers = append(writers, newWriter(t, q, seed, days))
	}
	time.Sleep(500 * time.Millisecond)
	v := newVerifier(q)
	run := func() verify.Report {
		t.Helper()
		report, err := v.Run(t.Context(), queries.VerifyParams{})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if report := run(); len(report.Findings) > 0 {
		t.Fatalf("before any damage: %d findings, %s", len(report.Findings), report.Findings[0].Text)
	}
	want := damageAll(db.Exec, day, old)
	dropViewForAWhile(t, db.Strings, db.Exec)
	report := run()
	for _, w := range want {
		found := false
		for _, f := range report.Findings {
			found = found || f.Kind == verify.Rollup && strings.HasPrefix(f.Text, w[0]) &&
				strings.Contains(f.Text, w[1])
		}
		if !found {
			t.Errorf("%s with %s is not found among %d findings", w[0], w[2], len(report.Findings))
		}
	}
	rebuild := func() (changed uint64) {
		t.Helper()
		for _, d := range []time.Time{old, day} {
			if err := v.Rebuild(t.Context(), verify.RebuildParams{
				From: d, To: d.AddDate(0, 0, 1),
				Each: func(c queries.Change) { changed += c.Keys },
			}); err != nil {
				t.Fatalf("Rebuild: %v", err)
			}
		}
		return changed
	}
	if rebuild() == 0 {
		t.Error("the rebuild changed nothing")
	}
	if report := run(); len(report.Findings) > 0 {
		t.Errorf("after the rebuild: %d findings, %s", len(report.Findings), report.Findings[0].Text)
	}
	for _, w := range writers {
		w.stop()
		for key, units := range w.model.sums {
			if w != writers[0] {
				writers[0].model.sums[key] += units
			}
		}
	}
	writers[0].model.check(t, db)
	if changed := rebuild(); changed != 0 {
		t.Errorf("a second rebuild changed %d rows", changed)
	}
	t.Logf("%d and %d events were written meanwhile", writers[0].model.n, writers[1].model.n)
}

// damageAll returns table, date and name of each damage it did.
func damageAll(exec func(string, ...any), day, old time.Time) (done [][3]string) {
	for table, column := range map[string]string{
		queries.AgentUsage15m: "slot", queries.BillableHourly: "hour",
		queries.ConsumptionDaily: "day", queries.ConsumptionMonthly: "month",
	} {
		date := day
		partition := old.Format("200601")
		if table == queries.ConsumptionMonthly {
			date = day.AddDate(0, 0, 1-day.Day())
			partition = old.Format("2006")
		}
		for i, d := range damages(table, column) {
			exec(strings.NewReplacer("DAY", "toDate('"+date.Format(time.DateOnly)+"')",
				"OLDPARTITION", partition).Replace(d.sql))
			shown := date.Format(time.DateOnly)
			if d.day == 1 {
				shown = old.Format(time.DateOnly)
			}
			if table == queries.ConsumptionMonthly {
				shown = "-01, "
			}
			if i < 2 {
				shown = named(fmt.Sprint("organization ", i)).String()
			}
			done = append(done, [3]string{table, shown, d.name})
		}
	}
	return done
}

// dropViewForAWhile takes consumption_daily_view away while batches come.
func dropViewForAWhile(
	t testing.TB, ask func(string, ...any) []string, exec func(string, ...any),
) {
	t.Helper()
	made := ask("SELECT create_table_query FROM system.tables WHERE database = currentDatabase() " +
		"AND name = 'consumption_daily_view'")[0]
	exec("DROP VIEW consumption_daily_view SYNC")
	time.Sleep(300 * time.Millisecond)
	exec(made)
}
