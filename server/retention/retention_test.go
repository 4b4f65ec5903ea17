package retention

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/verify"
)

func (w *world) keeper(step func(string) error) *Keeper {
	return NewKeeper(KeeperConfig{
		Queries: w.queries, Verifier: verify.New(verify.Config{Queries: w.queries}),
		Now: w.now, Logger: quiet, Mode: schema.Preaggregated, step: step,
	})
}

// twoOrganizations returns a world in which acme keeps its usage for 62 days and globex for ever,
// each with usage of long ago and of now.
func twoOrganizations(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, schema.Catalog{Organizations: []schema.Organization{
		{ID: acme, Name: "Acme", RetentionDays: schema.RetentionDaysMin},
		{ID: globex, Name: "Globex"},
	}})
	w.record(w.event(acme, root, 1), w.event(acme, root, 120), w.event(globex, root, 120),
		w.event(acme, root, 200), w.event(acme, root, 2), w.event(globex, root, 3))
	return w
}

// kept is the start of the oldest month that acme keeps.
func (w *world) kept() time.Time {
	return monthOf(w.now().UTC().AddDate(0, 0, -schema.RetentionDaysMin))
}

func monthOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// removed fails the test unless acme has nothing left of the months it does not keep, in any table.
func (w *world) removed() {
	w.t.Helper()
	for table, month := range map[string]string{
		"usage_events": "event_time", "agent_usage_15m": "slot", "billable_hourly": "hour",
		"consumption_daily": "day", "consumption_monthly": "month",
	} {
		if n := w.db.Strings("SELECT toString(count()) FROM "+table+
			" WHERE organization_id = ? AND toDate("+month+") < ?", acme, w.kept()); n[0] != "0" {
			w.t.Errorf("%s has %s rows of months that acme does not keep", table, n[0])
		}
	}
}

// TestRetentionRemovesMonths removes what one organization does not keep, crashes at each step and
// goes on; verify proves that nothing else went, and finds one event more. With nothing noted verify
// missed sequence 4; with the months that are not done held against the ledger, half of one was found.
func TestRetentionRemovesMonths(t *testing.T) {
	t.Parallel()
	w := twoOrganizations(t)
	others := "organization_id = toUUID('" + globex.String() + "')"
	want := w.sums(others)
	would, err := w.keeper(nil).Run(t.Context(), true)
	if err != nil || len(would) != 2 || would[0].Events != 1 || would[1].Events != 1 {
		t.Fatalf("dry run: %+v, %v", would, err)
	}
	w.verified()
	w.half(t)
	for _, step := range []string{"noted", "begun", "removed"} {
		if _, err := w.keeper(crashAt(step)).Run(t.Context(), false); !errors.Is(err, errCrash) {
			t.Fatalf("%s: %v", step, err)
		}
		if err := w.queries.Retired(t.Context()); err != nil { // what was begun goes on by itself
			t.Fatal(err)
		}
		w.verified()
	}
	if _, err := w.keeper(nil).Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	w.removed()
	w.verified()
	if diff := cmp.Diff(want, w.sums(others)); diff != "" {
		t.Errorf("globex' sums (-before +after):\n%s", diff)
	}
	again, err := w.keeper(nil).Run(t.Context(), false)
	if err != nil || len(again) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	gone, err := w.queries.RetiredMonths(t.Context())
	if err != nil || len(gone) != 2 || !gone[0].Done || gone[0].Events != 1 || gone[1].Events != 1 {
		t.Errorf("gone: %+v, %v", gone, err)
	}
	w.late(t)
	w.oneMore(t)
}

// half leaves a month as a crash does in the middle of what removes it: the rollups have it yet.
func (w *world) half(t *testing.T) {
	t.Helper()
	p := queries.RetentionParams{
		Month:         monthOf(w.now().UTC().AddDate(0, 0, -120)),
		Organizations: []uuid.UUID{acme},
	}
	if err := errors.Join(w.queries.MarkRetired(t.Context(), p, false, w.now()),
		w.queries.NoteRetired(t.Context(), p)); err != nil {
		t.Fatal(err)
	}
	w.db.Exec(`ALTER TABLE usage_events DELETE WHERE organization_id = ?
		AND toStartOfMonth(event_time) = ? SETTINGS mutations_sync = 1`, acme,
		p.Month.Format(time.DateOnly))
	w.verified()
}

// late records an event of a month that is gone: it is taken, and goes with the next pass.
func (w *world) late(t *testing.T) {
	t.Helper()
	w.record(w.event(acme, root, 121))
	w.verified()
	got, err := w.keeper(nil).Run(t.Context(), false)
	if err != nil || len(got) != 1 || got[0].Events != 1 {
		t.Errorf("after a late event: %+v, %v", got, err)
	}
	w.removed()
	w.verified()
}

// oneMore takes an event out of the ledger that nobody noted.
func (w *world) oneMore(t *testing.T) {
	t.Helper()
	w.db.Exec("DELETE FROM usage_events WHERE organization_id = ? AND event_time < ?",
		globex, w.kept())
	kinds := make(map[verify.Kind]int)
	for _, f := range w.findings() {
		kinds[f.Kind]++
		if f.Kind == verify.Sequence && !strings.Contains(f.Text, "sequences 3") {
			t.Errorf("not the event that is missing: %s", f.Text)
		}
	}
	if kinds[verify.Sequence] != 1 || kinds[verify.Rollup] == 0 {
		t.Errorf("with one event more gone verify finds %v", kinds)
	}
}

// TestRetentionWaitsForBilling keeps a month that a period reaches into which Stripe did not
// finalize, and afterwards has nothing carried of what is gone: where due_carries did not look at the
// months that are gone, -1 of the period was due.
func TestRetentionWaitsForBilling(t *testing.T) {
	t.Parallel()
	w := twoOrganizations(t)
	w.change(schema.Catalog{Organizations: []schema.Organization{{
		ID: acme, Name: "Acme", RetentionDays: schema.RetentionDaysMin,
		Stripe: schema.StripeMapping{Customer: "cus_1", Meter: "usage"},
	}}})
	long := w.now().UTC().AddDate(0, 0, -200)
	period := func(finalized bool) {
		w.db.Exec(`INSERT INTO stripe_periods (organization_id, meter, period_start, period_end,
			finalized, invoice_id, invoiced_units, seen_at) VALUES (?, 'usage', ?, ?, ?, 'in_1', ?,
			now())`, acme, monthOf(long).Format(time.DateTime),
			monthOf(long).AddDate(0, 1, 0).Format(time.DateTime), finalized, 1)
	}
	period(false)
	got, err := w.keeper(nil).Run(t.Context(), true)
	if err != nil || len(got) != 2 || got[0].Waits == "" || !got[0].Month.Equal(monthOf(long)) {
		t.Fatalf("with a period that is not finalized: %+v, %v", got, err)
	}
	period(true)
	if got, err = w.keeper(nil).Run(t.Context(), false); err != nil || len(got) != 2 {
		t.Fatalf("with one that is: %+v, %v", got, err)
	}
	w.removed()
	due, err := w.queries.DueCarries(t.Context(), queries.DueParams{
		Organization: acme, Mode: schema.Preaggregated, From: w.now().AddDate(0, 0, -400),
		Oldest: w.now().AddDate(0, 0, -35), Carried: w.now(), Limit: 100,
	})
	if err != nil || len(due) != 0 {
		t.Errorf("to be carried of what is gone: %+v, %v", due, err)
	}
}

// TestRetentionDropsPartitions drops the partitions of a month that nobody keeps anything of: one
// who did was retired since. With the retired left out of organizations its usage stayed for ever,
// and the month was rewritten for the other's.
func TestRetentionDropsPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, schema.Catalog{Organizations: []schema.Organization{
		{ID: acme, Name: "Acme", RetentionDays: 62}, {ID: globex, Name: "Globex", RetentionDays: 62},
	}})
	w.record(w.event(acme, root, 120), w.event(globex, root, 120), w.event(globex, root, 1))
	w.retire(schema.Organization{ID: globex, Name: "Globex", RetentionDays: 62})
	got, err := w.keeper(nil).Run(t.Context(), false)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	w.removed()
	w.verified()
	if n := w.db.Strings(`SELECT toString(count()) FROM system.mutations
		WHERE database = currentDatabase() AND table = 'usage_events'`); n[0] != "0" {
		t.Error("the ledger was rewritten, and not only a partition dropped")
	}
}
