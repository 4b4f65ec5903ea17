package queries_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	if err := q.InsertEvents(t.Context(), "t", batchOf(twoMonths(t))); err != nil {
		t.Fatal(err)
	}
	all := queries.VerifyParams{}
	checkClean := func() {
		t.Helper()
		differences, err := q.VerifyRollups(t.Context(), all)
		if err != nil || len(differences) > 0 {
			t.Errorf("VerifyRollups = %+v, %v, want none", differences, err)
		}
		defects, err := q.VerifyDimensions(t.Context(), all)
		if err != nil || len(defects) > 0 {
			t.Errorf("VerifyDimensions = %+v, %v, want none", defects, err)
		}
		doubled, err := q.VerifyEvents(t.Context(), all)
		if err != nil || len(doubled) > 0 {
			t.Errorf("VerifyEvents = %+v, %v, want none", doubled, err)
		}
	}
	checkClean()

	// A rollup that lost February, in each table.
	for _, lost := range []string{
		"ALTER TABLE agent_usage_15m DROP PARTITION 202602",
		"ALTER TABLE billable_hourly DROP PARTITION 202602",
		"ALTER TABLE consumption_daily DROP PARTITION 202602",
		"ALTER TABLE consumption_monthly DROP PARTITION 2026",
		"TRUNCATE TABLE dimensions",
	} {
		db.Exec(lost)
	}
	february := queries.VerifyParams{From: at(t, "2026-02-01T00:00:00Z")}
	differences, err := q.VerifyRollups(t.Context(), february)
	if err != nil {
		t.Fatal(err)
	}
	ledger := []queries.Sums{
		{
			Quantity:     quantity(t, "1200.000001"),
			ProviderCost: usd(t, "0.000000000001"), BilledCost: usd(t, "0.000000000002"),
			Events: 1, Measurements: 1,
		},
		{Quantity: quantity(t, "350"), Measurements: 1, Unpriced: 1},
	}
	var want []queries.Difference
	for _, table := range []string{
		"agent_usage_15m", "billable_hourly", "consumption_daily", "consumption_monthly",
	} {
		for i, usageType := range []string{schema.Input, schema.Output} {
			want = append(want, queries.Difference{
				Table: table, Organization: named("acme"), Period: february.From,
				UsageType: usageType, Ledger: ledger[i],
			})
		}
	}
	for i := range differences {
		if d := &differences[i]; d.Ledger.Keys == 0 || d.Rollup.Keys != 0 {
			t.Errorf("%s of %s: keys %d, of the ledger %d, want none and some",
				d.Table, d.UsageType, d.Rollup.Keys, d.Ledger.Keys)
		}
		differences[i].Ledger.Keys = 0
	}
	exact := cmp.AllowUnexported(schema.Quantity{}, schema.USD{})
	if diff := cmp.Diff(want, differences, exact); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	january := queries.VerifyParams{
		From: at(t, "2026-01-15T00:00:00Z"), To: at(t, "2026-02-01T00:00:00Z"),
	}
	defects, err := q.VerifyDimensions(t.Context(), january)
	if err != nil || len(defects) != 1 || defects[0].Descriptions != 0 {
		t.Errorf("VerifyDimensions = %+v, %v, want one", defects, err)
	}
}

// TestVerifyFindsDoublesAndGaps stores an event under two tokens, and one far off.
func TestVerifyFindsDoublesAndGaps(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	events := twoMonths(t)
	for _, token := range []string{"a", "b"} {
		if err := q.InsertEvents(t.Context(), token, batchOf(events[:1])); err != nil {
			t.Fatal(err)
		}
	}
	var far queries.EventBatch
	far.Append(&events[1], named("node"), 10)
	far.Append(&events[1], named("node"), 3*queries.SequencesOfPart)
	if err := q.InsertEvents(t.Context(), "c", &far); err != nil {
		t.Fatal(err)
	}
	got, err := q.VerifySequences(t.Context(), queries.VerifyParams{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []queries.Sequences{
		{
			Node: named("node"), Events: 3, Different: 2, Accounted: 2, Rows: 6, RowsOnce: 4,
			First: 1, Last: 10,
		},
		{
			Node: named("node"), Part: 3, Events: 1, Different: 1, Accounted: 1, Rows: 2, RowsOnce: 2,
			First: 3_000_000, Last: 3_000_000,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f := func(first, last uint64, want ...queries.Gap) {
		t.Helper()
		got, err := q.VerifyGaps(t.Context(), queries.GapsParams{
			Node: named("node"), First: first, Last: last,
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d..%d (-want +got):\n%s", first, last, diff)
		}
	}
	f(1, 1)
	f(10, 10)
	f(1, 10, queries.Gap{First: 2, Last: 9})
	f(1, 12, queries.Gap{First: 2, Last: 9}, queries.Gap{First: 11, Last: 12})
	f(5, 7, queries.Gap{First: 5, Last: 7})
}

// TestVerifyKnowsHowOftenAnEventCounts is what an event's entries may be. With the sum over an
// event's revisions removed from the question, the two revisions that count are not found; with the
// window removed, neither are copies within it.
func TestVerifyKnowsHowOftenAnEventCounts(t *testing.T) {
	t.Parallel()
	_, q := open(t)
	model := twoMonths(t)[0]
	model.IngestTime = at(t, "2026-02-01T00:00:00Z")
	sequence := uint64(0)
	// An event is written as its entries: +r a record of revision r, -r a reversal, each so many
	// days after the first.
	type entry struct {
		kind     schema.Entry
		revision uint32
		days     int
	}
	f := func(name, want string, entries ...entry) {
		t.Helper()
		var b queries.EventBatch
		for _, entry := range entries {
			e := model
			e.ID, e.Revision = named(name), entry.revision
			e.IngestTime = e.IngestTime.AddDate(0, 0, entry.days)
			if entry.kind == schema.Reversal {
				e = reversed(e)
			}
			sequence++
			b.Append(&e, named("node"), sequence)
		}
		if err := q.InsertEvents(t.Context(), name, &b); err != nil {
			t.Fatal(err)
		}
		all, err := q.VerifyEvents(t.Context(), queries.VerifyParams{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, d := range all {
			if d.Event == named(name) {
				got = d.Problem()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%+v)", name, got, want, all)
		}
	}
	const record, reversal = schema.Record, schema.Reversal
	const twice, both, negative = "counts more than once", "counts in more than one revision",
		"is reversed more than once, or reversed and never recorded"
	f("once", "", entry{record, 0, 0})
	f("amended", "", entry{record, 0, 0}, entry{reversal, 0, 0}, entry{record, 1, 0})
	f("voided", "", entry{record, 0, 0}, entry{reversal, 0, 0})
	f("two copies", twice, entry{record, 0, 0}, entry{record, 0, 34})
	f("two copies, one taken back", "",
		entry{record, 0, 0}, entry{record, 0, 0}, entry{reversal, 0, 0})
	f("two copies, one amended", both,
		entry{record, 0, 0}, entry{record, 0, 0}, entry{reversal, 0, 0}, entry{record, 1, 0})
	f("again after the window", "", entry{record, 0, 0}, entry{record, 0, 35})
	f("again after the window, twice", twice,
		entry{record, 0, 0}, entry{record, 0, 35}, entry{record, 0, 35})
	f("again after two windows", "",
		entry{record, 0, 0}, entry{record, 0, 35}, entry{record, 0, 70})
	f("two revisions", both, entry{record, 0, 0}, entry{record, 1, 0})
	f("reversed twice", negative,
		entry{record, 0, 0}, entry{reversal, 0, 0}, entry{reversal, 0, 0})
	f("reversed twice, counts once", negative, entry{record, 0, 0}, entry{reversal, 0, 0},
		entry{reversal, 0, 0}, entry{record, 1, 0})
	f("never recorded", negative, entry{reversal, 0, 0})
}
