package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/queries"
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
	fix(1)
	if report := run(); len(report.Findings) > 0 {
		t.Errorf("a sound revision: %+v", report.Findings)
	}
	fix(3)
	report := run()
	if len(report.Findings) != 2 {
		t.Fatalf("findings: %+v, want two", report.Findings)
	}
	for i, want := range []string{
		"report_intents: batch 3 is the newest, and some before it are missing (1): ",
		"report_intents: organization " + named("acme").String() +
			", meter m, 2026-11-22T13, revision 1 is fixed more than once (2): ",
	} {
		if f := report.Findings[i]; f.Kind != verify.Slot || !strings.HasPrefix(f.Text, want) {
			t.Errorf("%s: %s, want %s", f.Kind, f.Text, want)
		}
	}
}
