package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/verify"
)

// TestWhatStripeIsToldIsFixedOnce writes a revision, and then the same one again, as two instances
// would if the deduplication of batches failed.
func TestWhatStripeIsToldIsFixedOnce(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	fix := func(batch int) {
		t.Helper()
		db.Exec(fmt.Sprintf(`INSERT INTO report_intents VALUES ('%s', 'm', '2026-11-22 13:00:00', 1,
			'preaggregated', 5, 5, 'i', 'cus_1', '', now64(6), generateUUIDv4(), %d,
			generateUUIDv4())`, named("acme"), batch))
	}
	run := func() verify.Report {
		t.Helper()
		report, err := newVerifier(q).Run(t.Context(), queries.VerifyParams{})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	notesOfReports(t, q)
	fix(2)
	if report := run(); len(report.Findings) > 0 {
		t.Errorf("a sound revision: %+v", report.Findings)
	}
	fix(4)
	report := run()
	if len(report.Findings) != 2 || len(report.Notes) != 0 {
		t.Fatalf("findings: %+v, want two and no notes", report)
	}
	for i, want := range []string{
		"report_intents: batch 4 is the newest, and some before it are missing (1): ",
		"report_intents: organization " + named("acme").String() +
			", meter m, 2026-11-22T13, revision 1 is fixed more than once (2): ",
	} {
		if f := report.Findings[i]; f.Kind != verify.Slot || !strings.HasPrefix(f.Text, want) {
			t.Errorf("%s: %s, want %s", f.Kind, f.Text, want)
		}
	}
}

// notesOfReports stores an hour of usage of an organization that is reported and of one that is
// not. That Stripe was not told is no difference: there may be no key, or Stripe may be away.
func notesOfReports(t *testing.T, q *queries.Queries) {
	t.Helper()
	hour := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	if err := q.SaveCatalog(t.Context(), schema.CatalogChange{
		Upsert: schema.Catalog{Organizations: []schema.Organization{{
			ID: named("billed"), Name: "billed",
			Stripe: schema.StripeMapping{Customer: "cus_1", Meter: "m"},
		}}},
		Version: 1, At: hour, Actor: "test",
	}); err != nil {
		t.Fatal(err)
	}
	var batch queries.EventBatch
	for i, name := range []string{"billed", "nobody"} {
		batch.Append(&schema.Event{
			Organization: named(name), ID: named("event of " + name), Entry: schema.Record,
			Time: hour.Add(time.Minute), Chargeable: true,
			Measurements: []schema.Measurement{{
				UsageType: schema.Units, Quantity: schema.WholeQuantity(1), Pricing: schema.Given,
				BilledCost: schema.USDOf(schema.Int128{Lo: 7_000_000}),
			}},
		}, [16]byte{}, uint64(i))
	}
	if err := q.InsertEvents(t.Context(), "usage", &batch); err != nil {
		t.Fatal(err)
	}
	f := func(after time.Duration, want ...string) {
		t.Helper()
		report, err := verify.New(verify.Config{
			Queries: q, Settle: time.Millisecond, Mode: schema.Preaggregated,
			Now: func() time.Time { return hour.Add(after) },
		}).Run(t.Context(), queries.VerifyParams{})
		if err != nil || len(report.Findings) > 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		if diff := cmp.Diff(want, report.Notes); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", after, diff)
		}
	}
	const unmapped = "reports: 1 slots with usage that no meter counts, of 7 micro-USD: " +
		"nobody is billed"
	f(24*time.Hour, unmapped)
	f(25*time.Hour, "reports: Stripe was not told of 1 slots that ended more than a day ago, or "+
		"otherwise than they are now, the oldest of 2026-11-22T13: see the newest passes in "+
		"report_runs", unmapped)
	f(36*24*time.Hour, []string(nil)...) // too old, and nothing was ever reported: nobody waits
	before := hour.Add(-time.Hour)
	if err := q.FreezeIntents(t.Context(), queries.IntentBatch{
		Number: 1, ID: named("batch"), Intents: []schema.Intent{{
			Slot: schema.Slot{Organization: named("billed"), Meter: "m", Start: before}, Revision: 1,
			Mode: schema.Preaggregated, Identifier: "first", Customer: "cus_1", CreatedAt: before,
		}},
	}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := q.InsertOutcomes(t.Context(), []schema.Outcome{{
		Slot:     schema.Slot{Organization: named("billed"), Meter: "m", Start: before},
		Revision: 1, Verdict: schema.Accepted, At: before,
	}}); err != nil {
		t.Fatal(err)
	}
	f(36*24*time.Hour, "reports: 1 closed periods, or hours that are too old for Stripe, lack units "+
		"that wait to be carried into a later hour")
}
