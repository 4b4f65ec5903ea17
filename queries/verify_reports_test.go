package queries_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
)

// TestVerifyReportsFindsWhatIsWrong breaks the records of one slot a case, each in its own way.
// Slots of organization "sound" are as they should be, conflicts aside: raw retries, a carry.
func TestVerifyReportsFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	db, q := open(t)
	batch := 0
	intent := func(organization, hour string, revision, number int, identifier string) {
		t.Helper()
		db.Exec(fmt.Sprintf(`INSERT INTO report_intents VALUES ('%s', 'm', '2026-11-22 %s:00:00', %d,
			'raw', 5, 5, '%s', 'cus_1', '', now64(6), generateUUIDv4(), %d, generateUUIDv4())`,
			named(organization), hour, revision, identifier, number))
	}
	next := func(organization, hour string, revision int) {
		t.Helper()
		batch++
		intent(organization, hour, revision, batch, fmt.Sprint("i", batch))
	}
	outcome := func(organization, hour string, revision int, verdict string) {
		t.Helper()
		db.Exec(fmt.Sprintf(`INSERT INTO report_outcomes VALUES ('%s', 'm', '2026-11-22 %s:00:00',
			%d, '%s', 0, now64(6), generateUUIDv4(), 0, '', '')`,
			named(organization), hour, revision, verdict))
	}
	carry := func(organization string, number int) {
		t.Helper()
		db.Exec(fmt.Sprintf(`INSERT INTO report_carries VALUES ('%s', 'm', '2026-11-22 00:00:00', %d,
			generateUUIDv4(), '2026-11-22 09:00:00', 5, '', now64(6), generateUUIDv4())`,
			named(organization), number))
	}
	check := func(want ...string) {
		t.Helper()
		all, err := q.VerifyReports(t.Context(), queries.VerifyParams{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range all {
			hour := ""
			if d.Organization == [16]byte{} {
				hour = "-"
			} else {
				hour = d.Start.Format("15")
			}
			got = append(got, fmt.Sprintf("%s %s %s %d %s %d",
				strings.TrimPrefix(d.Table, "report_"), hour, d.Thing, d.Number, d.Problem, d.Times))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	check()
	next("sound", "01", 1)
	next("sound", "01", 2)
	for _, v := range []string{"unknown", "duplicate", "refused"} {
		outcome("sound", "01", 1, v)
	}
	carry("sound", 1)
	carry("sound", 2)
	check()

	next("acme", "02", 1)
	next("acme", "02", 1)
	next("acme", "03", 1)
	next("acme", "03", 3)
	next("acme", "04", 1)
	outcome("acme", "04", 1, "conflict")
	outcome("acme", "04", 1, "conflict")
	outcome("acme", "05", 1, "accepted")
	batch++
	intent("acme", "06", 1, batch, "same")
	intent("acme", "07", 1, batch, "same") // and of one number
	batch += 2                             // a number is missing
	intent("acme", "08", 1, batch, "last")
	carry("acme", 1)
	carry("acme", 1)
	carry("acme", 2)
	carry("other", 2)
	check(
		"carries 00 carry 2 is the newest, and some before it are missing 1",
		"carries 00 carry 2 is the newest, and some are there more than once 1",
		"intents - batch 8 is there more than once 2",
		"intents - batch 10 is the newest, and some before it are missing 1",
		"intents 02 revision 1 is fixed more than once 2",
		"intents 03 revision 3 is the newest, and some before it are missing 1",
		"intents 04 revision 1 had another number at Stripe under its key 2",
		"intents 05 revision 1 was sent and is not fixed 0",
		"intents 06 revision 1 shares its name, same, with another 2",
	)

	tomorrow := queries.VerifyParams{From: at(t, "2026-11-23T00:00:00Z")}
	left, err := q.VerifyReports(t.Context(), tomorrow)
	if err != nil || len(left) != 2 { // batches are of every hour
		t.Errorf("of other hours: %+v, %v", left, err)
	}
}
