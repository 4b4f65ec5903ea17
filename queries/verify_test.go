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
		duplicates, err := q.VerifyDuplicates(t.Context(), all)
		if err != nil || len(duplicates) > 0 {
			t.Errorf("VerifyDuplicates = %+v, %v, want none", duplicates, err)
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

func TestVerifyFindsDuplicatesAndGaps(t *testing.T) {
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
	if err := q.InsertEvents(t.Context(), "c", &far); err != nil {
		t.Fatal(err)
	}
	duplicates, err := q.VerifyDuplicates(t.Context(), queries.VerifyParams{})
	if err != nil {
		t.Fatal(err)
	}
	want := []queries.Duplicate{
		{Organization: named("acme"), Event: named("event0"), Entry: 1, Ordinal: 0, Copies: 2},
		{Organization: named("acme"), Event: named("event0"), Entry: 1, Ordinal: 1, Copies: 2},
	}
	if diff := cmp.Diff(want, duplicates); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	nodes, err := q.VerifySequences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantNodes := []queries.NodeSequences{{Node: named("node"), Sequences: 2, First: 1, Last: 10}}
	if diff := cmp.Diff(wantNodes, nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := nodes[0].Missing(); n != 8 {
		t.Errorf("Missing = %d, want 8", n)
	}
}
