package billing_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// reconcile returns what was found that is not equal, a line each, and how many equal ones there
// were of whole ranges. A line is: what it is, from, to, told, what Stripe has, repaired.
func (d *desk) reconcile() (found []string, equal int) {
	d.t.Helper()
	all, err := d.reporter.Reconcile(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, c := range all {
		what := "whole"
		switch {
		case c.Skipped:
			found = append(found, "skipped: "+c.Detail)
			continue
		case c.Part:
			what = "part"
		case c.Difference() == 0:
			equal++
		}
		if c.Difference() != 0 {
			found = append(found, fmt.Sprintf("%s %s-%s told %d has %d again %d", what,
				c.From.Format("2T15"), c.To.Format("2T15"), c.Reported, c.Stripe, c.Repaired))
		}
	}
	return found, equal
}

func (d *desk) finds(wantEqual int, want ...string) {
	d.t.Helper()
	found, equal := d.reconcile()
	got, wants := strings.Join(found, "\n"), strings.Join(want, "\n")
	if got != wants || equal != wantEqual {
		d.t.Errorf("%d equal, and\n%s\nwant %d equal, and\n%s", equal, got, wantEqual, wants)
	}
}

func (d *desk) holds(hour int, want int64) {
	d.t.Helper()
	if got := d.stripe.Total("cus_acme", costMeter, at(hour)); got != want {
		d.t.Errorf("Stripe has %d of hour %d, want %d", got, hour, want)
	}
}

// TestWhatStripeLostIsToldAgain: an hour that Stripe lost, one of which it has too much, and one of
// somebody else's are found by day and hour, and the first two told again. So are two hours that
// make up for each other; compared by their sum alone nothing differs, seen before.
func TestWhatStripeLostIsToldAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{SummaryLag: time.Hour})
	for _, hour := range []int{3, 4, 26, 27, 50} {
		d.uses(acme, hour, 100)
	}
	d.clock.Set(at(52))
	d.run()
	d.finds(0) // Stripe was told a moment ago: its sums may not have it
	d.clock.Set(at(55))
	before := d.stripe.Counts().Calls
	d.finds(1)
	if calls := d.stripe.Counts().Calls - before; calls != 3 {
		t.Errorf("%d calls for one customer and meter, want 3: invoices, its id and a sum", calls)
	}

	d.stripe.Tamper("cus_acme", costMeter, at(4), 60)
	d.stripe.Tamper("cus_acme", costMeter, at(26), 140)
	d.finds(1,
		"whole 2T04-2T05 told 100 has 60 again 1",
		"whole 3T02-3T03 told 100 has 140 again 1")
	d.clock.Advance(61 * time.Minute)
	d.run()
	d.holds(4, 100)
	d.holds(26, 100)

	d.clock.Set(at(155))
	d.stripe.Tamper("cus_acme", costMeter, at(4), 0)
	d.stripe.Tamper("cus_acme", costMeter, at(26), 107)
	d.stripe.Tamper("cus_acme", costMeter, at(51), 9)
	d.finds(0,
		"whole 2T03-8T09 told 500 has 416 again 2",
		"part 2T04-2T05 told 100 has 0 again 1",
		"part 3T00-4T00 told 200 has 207 again 1",
		"part 3T02-3T03 told 100 has 107 again 1",
		"part 4T03-4T04 told 0 has 9 again 0")
	d.clock.Advance(time.Minute)
	d.run() // a slot that differs for the second time rests for two hours
	d.holds(4, 0)
	d.clock.Advance(2 * time.Hour)
	d.run()
	d.holds(4, 100)
	d.holds(26, 100)
	d.clock.Advance(3 * time.Hour)
	d.finds(0,
		"whole 2T03-8T14 told 500 has 509 again 0",
		"part 4T03-4T04 told 0 has 9 again 0")

	stored := d.db.Strings("SELECT concat(toString(count()), ' ', " +
		"toString(countIf(reported_units != stripe_units)), ' ', toString(sum(repaired)), ' ', " +
		"toString(countIf(part))) FROM stripe_comparisons WHERE to_time - from_time = 3600")
	if len(stored) != 1 || stored[0] != "12 6 4 10" {
		t.Errorf("hours that are kept: %q", stored)
	}
}

// TestUnsettledHoursAreLeftAlone: an hour of which Stripe was told lately is on no side.
func TestUnsettledHoursAreLeftAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{})
	for _, hour := range []int{3, 4, 5} {
		d.uses(acme, hour, 100)
	}
	d.clock.Set(at(10))
	d.run()
	d.clock.Set(at(13))
	d.uses(acme, 4, 11)
	d.run()
	d.holds(4, 111)
	d.stripe.Tamper("cus_acme", costMeter, at(4), 0)
	d.finds(2)
	d.clock.Set(at(16))
	d.finds(0,
		"whole 2T03-2T14 told 311 has 200 again 1",
		"part 2T04-2T05 told 111 has 0 again 1")
}

// TestRecordsAreComparedByPeriod: of usage records Stripe tells the period's sum only. Without the
// look at what is settled it is compared at once, seen by removing it.
func TestRecordsAreComparedByPeriod(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.UsageRecord, billingtest.Options{PeriodLength: 48 * time.Hour})
	recorded := func(want int64) {
		t.Helper()
		if got := d.stripe.Recorded("si_cost", at(0), at(48)); got != want {
			t.Errorf("Stripe has %d, want %d", got, want)
		}
	}
	d.uses(acme, 3, 100)
	d.uses(acme, 4, 50)
	d.clock.Set(at(6))
	d.run()
	recorded(150)
	d.finds(0, "skipped: Stripe was told of it in the last 20 minutes: look again later")
	d.clock.Set(at(7))
	d.finds(1)
	d.stripe.TamperRecord("si_cost", at(4), 0)
	d.finds(0, "whole 2T00-4T00 told 150 has 100 again 2")
	d.clock.Advance(61 * time.Minute)
	d.run()
	recorded(150)
}

// untold has Stripe say nothing of when usage records' periods begin and end, as its documentation
// shows the one that goes on.
type untold struct{}

func (untold) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/usage_record_summaries") {
		return answer, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	body = regexp.MustCompile(`"(start|end)":\d+`).ReplaceAll(body, []byte(`"$1":null`))
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, err
}

// TestFirstPeriodOfRecords: of an item's first period Stripe need not tell when it began, and hours
// that are too old to be told again keep no others from it. Where the period's start was needed
// nothing was compared, and where all its hours counted for the bound none was told again: seen
// before.
func TestFirstPeriodOfRecords(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.UsageRecord, billingtest.Options{})
	client, err := billing.NewClient(billing.ClientConfig{
		Key: "sk_test_desk", Base: d.stripe.URL, Now: d.clock.Now, Transport: untold{},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(schema.UsageRecord, client)
	d.uses(acme, 3, 100)
	d.clock.Set(at(6))
	d.run()
	d.clock.Set(at(7))
	d.finds(1)
	d.stripe.TamperRecord("si_cost", at(3), 40)
	d.finds(0, "whole 2T03-2T08 told 100 has 40 again 1")
}

// TestOneBadCustomerHidesNobody: what cannot be compared is said, and the others are. Where an error
// of Stripe's ends it all nobody is, and without the look at not_before Stripe is asked while it
// wants to be left alone: seen by changing each.
func TestOneBadCustomerHidesNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Preaggregated, billingtest.Options{})
	d.uses(acme, 3, 100)
	d.uses(ghost, 3, 100)
	d.clock.Set(at(5))
	d.run()
	d.clock.Set(at(8))
	missing := "skipped: stripe: GET /v1/billing/meters/mtr_usage_micro_usd/event_summaries: 404: " +
		"resource_missing: No such customer: 'cus_ghost'"
	d.finds(1, missing)

	// Who is away is not asked for everybody, and who refuses the key is asked once for each.
	d.stripe.Refuse("sk_test_desk", http.StatusUnauthorized)
	before := d.stripe.Counts().Calls
	found, equal := d.reconcile()
	if len(found) != 2 || equal != 0 || !strings.Contains(found[0], "skipped: stripe: ") {
		t.Errorf("without a key: %d equal, %q", equal, found)
	}
	if calls := d.stripe.Counts().Calls - before; calls != 2 {
		t.Errorf("%d calls with a key that is refused, want 2: invoices and sums", calls)
	}
	d.stripe.Refuse("sk_test_desk", 0)

	d.uses(acme, 4, 100)
	d.stripe.FailNext("", billingtest.RateLimited)
	if run, err := d.reporter.Run(t.Context()); err != nil || run.End != schema.RunLimited {
		t.Fatalf("run %+v, error %v", run, err)
	}
	_, err := d.reporter.Reconcile(t.Context())
	if schema.KindOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("while Stripe wants fewer calls: %v", err)
	}
	d.reporter = d.newReporter(schema.Preaggregated, nil)
	_, err = d.reporter.Reconcile(t.Context())
	if schema.KindOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "STRIPE_API_KEY") {
		t.Errorf("without a key: %v", err)
	}
}

// between calls f before the first call whose path has a part.
type between struct {
	part string
	f    func()
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := b.f; f != nil && strings.Contains(r.URL.Path, b.part) {
		b.f = nil
		f()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestRawIsOnlyReported: what adds up is never sent again because of a sum. Nor is taken for a
// difference what another instance tells Stripe between the two looks. Without the look at the mode
// 111 units are told again, without the second look 100 of 111 are a difference: seen by removing
// each.
func TestRawIsOnlyReported(t *testing.T) {
	t.Parallel()
	d := newDesk(t, schema.Raw, billingtest.Options{})
	d.uses(acme, 3, 100)
	d.clock.Set(at(5))
	d.run()
	d.clock.Set(at(8))
	another := d.reporter
	client, err := billing.NewClient(billing.ClientConfig{
		Key: "sk_test_desk", Base: d.stripe.URL, Now: d.clock.Now,
		Transport: &between{part: "event_summaries", f: func() {
			d.uses(acme, 3, 11)
			if run, err := another.Run(t.Context()); err != nil || run.End != schema.RunDone {
				t.Errorf("run %+v, error %v", run, err)
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.reporter = d.newReporter(schema.Raw, client)
	d.finds(0, "skipped: Stripe was told more while it was asked: look again")
	d.holds(3, 111)
	d.clock.Set(at(11))
	d.finds(1)

	d.stripe.Tamper("cus_acme", costMeter, at(3), 60)
	d.finds(0,
		"whole 2T03-2T09 told 111 has 60 again 0",
		"part 2T03-2T04 told 111 has 60 again 0")
	d.clock.Set(at(13))
	d.run()
	d.holds(3, 60)
}
