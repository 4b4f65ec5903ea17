package billing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

func reported(hours ...int) (all []queries.Reported) {
	for _, h := range hours {
		start := november.Add(time.Duration(max(h, -h)) * time.Hour)
		all = append(all, queries.Reported{
			Slot:     schema.Slot{Organization: acme.ID, Meter: "rest", Start: start},
			Customer: "cus_1", Told: 1, Latest: 1, Settled: h >= 0,
		})
	}
	return all
}

// TestUnsettledHoursAreCutOut: negative hours are of slots that are not settled. Taken for settled,
// they are in every part, and TestUnsettledHoursAreLeftAlone finds differences that are none: seen
// by removing the case.
func TestUnsettledHoursAreCutOut(t *testing.T) {
	f := func(want string, hours ...int) {
		t.Helper()
		var got []string
		for _, s := range settledParts(reported(hours...), november.Add(9*time.Hour)) {
			got = append(got, s.from.Format("15")+"-"+s.to.Format("15"))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%v: %s, want %s", hours, text, want)
		}
	}
	f("")
	f("01-09", 1)
	f("01-09", 1, 2, 5)
	f("", -3)
	f("05-09", -3, -4, 5)
	f("01-03 05-09", 1, -3, 5)
	f("01-03", 1, -3)
	f("01-08", 1, 7, -8)
}

func TestClosedPeriodsAreNotCompared(t *testing.T) {
	slots := reported(1, 2, 3)
	slots[1].Customer = "cus_2"
	got := accounts(slots, []schema.StripePeriod{
		// The hour in which it ended was told of before its end.
		period("rest", "in_1", november, november.Add(90*time.Minute), true, 0),
		period("rest", "in_2", november, november.Add(9*time.Hour), false, 0),
		period("tokens", "in_3", november, november.Add(9*time.Hour), true, 0),
	}, schema.Preaggregated)
	want := []account{
		{meter: "rest", customer: "cus_2", slots: slots[1:2]},
		{meter: "rest", customer: "cus_1", slots: slots[2:3]},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(account{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestComparisonsAreAPage holds a page of text against a golden file: -update-pages rewrites it.
func TestComparisonsAreAPage(t *testing.T) {
	at := func(days, hours int) time.Time {
		return november.AddDate(0, 0, days).Add(time.Duration(hours) * time.Hour)
	}
	c := schema.Comparison{
		Organization: acme.ID, Meter: "usage_micro_usd", From: at(0, 5), To: at(20, 11),
		Ledger: 1_234_567, Reported: 1_234_560, Stripe: 1_234_510, Repaired: 2,
	}
	part := func(
		from, to time.Time, told, has int64, repaired uint32, detail string,
	) schema.Comparison {
		p := c
		p.From, p.To, p.Ledger, p.Reported, p.Stripe = from, to, told, told, has
		p.Part, p.Repaired, p.Detail = true, repaired, detail
		return p
	}
	const again = "told again by one of the next passes"
	equal := c
	equal.Meter, equal.Stripe, equal.Repaired = "tokens", equal.Reported, 0
	skipped := c
	skipped.Skipped, skipped.Detail = true, "stripe: GET /v1/billing/meters: 404: no such customer"
	all := []schema.Comparison{
		c,
		part(at(3, 0), at(4, 0), 100, 50, 0, ""),
		part(at(3, 7), at(3, 8), 30, 0, 1, again),
		part(at(3, 8), at(3, 9), 20, 0, 1, again),
		part(at(3, 9), at(3, 10), 50, 50, 0, ""),
		equal, skipped,
	}
	var b strings.Builder
	if err := RenderComparisons(&b, all); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "comparisons.txt")
	if *updatePages {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRepairsHaveBounds: a reconciliation never has everything told again at once, nor what would
// be too old for Stripe before it is. Without repairsMax the second is told again, without
// repairBefore the third: seen by removing each.
func TestRepairsHaveBounds(t *testing.T) {
	now := november.Add(40 * 24 * time.Hour)
	f := func(name string, mode schema.ReportMode, before, age int, want uint32) {
		t.Helper()
		slots := reported(0)
		slots[0].Slot.Start = now.Add(-time.Duration(age) * time.Hour)
		l := &look{
			asking: asking{Reporter: &Reporter{cfg: Config{Mode: mode}}}, now: now, repairs: before,
		}
		got, advice := l.repair(slots, schema.Comparison{})
		if got != want || len(l.outcomes) != int(want) || advice == "" {
			t.Errorf("%s: %d repaired, %d outcomes, %q", name, got, len(l.outcomes), advice)
		}
	}
	f("the last one", schema.Preaggregated, repairsMax-1, 10, 1)
	f("one too many", schema.Preaggregated, repairsMax, 10, 0)
	f("too old", schema.Preaggregated, 0, 35*24-6-11, 0)
	f("not too old", schema.Preaggregated, 0, 35*24-6-13, 1)
	f("raw", schema.Raw, 0, 10, 0)
	f("usage records", schema.UsageRecord, 0, 10, 1)

	// Of a long period, what is too old takes no part.
	slots := reported(0)
	for i := range 2 * repairsMax {
		one := slots[0]
		one.Slot.Start = now.Add(time.Duration(i-2*repairsMax) * time.Hour)
		slots = append(slots, one)
	}
	l := &look{asking: asking{Reporter: &Reporter{cfg: Config{Mode: schema.UsageRecord}}}, now: now}
	if got, _ := l.repair(slots[1:], schema.Comparison{}); got != 35*24-6-12 {
		t.Errorf("of a long period %d repaired, want all that are told for 35 days", got)
	}
}
