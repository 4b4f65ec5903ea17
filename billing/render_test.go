package billing

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var updatePages = flag.Bool("update-pages", false, "rewrite the golden pages")

func money(t testing.TB, s string) schema.USD {
	t.Helper()
	u, err := schema.ParseUSD(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func amount(t testing.TB, s string) schema.Quantity {
	t.Helper()
	q, err := schema.ParseQuantity(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// explained is a slot in which everything happened: two rates, a price the client gave, usage
// without a rate, half a micro-USD, carries, a lost answer, and usage that came late.
func explained(t testing.TB) schema.Explanation {
	organization := uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55")
	rate := func(n byte) uuid.UUID { return uuid.UUID{15: n} }
	event := func(n byte) uuid.UUID { return uuid.UUID{0: 1, 15: n} }
	start := atTime(t, "2026-11-22T13:00:00Z")
	slot := schema.Slot{Organization: organization, Meter: "usage_micro_usd", Start: start}
	e := schema.Explanation{
		Usage: []schema.SlotUsage{
			{
				UsageType: schema.Input, Model: "gpt-4o-mini", Rate: rate(1), Pricing: schema.Rated,
				Events: 12, Measurements: 12, Quantity: amount(t, "6331120"),
				BilledCost: money(t, "1.2345684"),
			},
			{
				UsageType: schema.Output, Model: "gpt-4o-mini", Rate: rate(2), Pricing: schema.Rated,
				Events: 12, Measurements: 12, Quantity: amount(t, "1000000.5"),
				BilledCost: money(t, "0.7800001"),
			},
			{
				UsageType: schema.Output, Model: "o9", Pricing: schema.Unpriced,
				Events: 1, Measurements: 1, Quantity: amount(t, "77"),
			},
			{
				UsageType: schema.Units, Pricing: schema.Given, Events: -1, Measurements: -1,
				Quantity: amount(t, "-3"), BilledCost: money(t, "-0.000001"),
			},
		},
		Rates: []schema.Rate{{
			ID: rate(1), Model: "gpt-4o-mini", UsageType: schema.Input,
			BilledUSDPerMillion: money(t, "0.195"), From: atTime(t, "2024-07-18T00:00:00Z"),
		}},
		Events: []schema.SlotEvent{
			{
				Event: event(1), Time: start.Add(time.Minute + 5*time.Microsecond),
				UsageType: schema.Input, Model: "gpt-4o-mini", Quantity: amount(t, "6331120"),
				BilledCost: money(t, "1.2345684"), Rate: rate(1),
			},
			{
				Event: event(2), Revision: 1, Reversal: true, Time: start.Add(2 * time.Minute),
				UsageType: schema.Units, Quantity: amount(t, "-3"), BilledCost: money(t, "-0.000001"),
			},
		},
		More: true,
	}
	e.Exact, e.Rounded = rounded(e.Usage, schema.MicroUSD)
	e.Carries = []schema.Carry{
		{
			Organization: organization, Meter: slot.Meter, From: start.AddDate(0, 0, -23), Number: 2,
			To: start, Units: 100, Reason: "late usage of the period on invoice in_1",
			CreatedAt: start.Add(70 * time.Minute),
		},
		{
			Organization: organization, Meter: slot.Meter, From: start, Number: 1,
			To: start.AddDate(0, 1, 0), Units: -5, CreatedAt: start.AddDate(0, 1, 0),
		},
	}
	e.Report = schema.SlotReport{
		Slot: slot, Billable: e.Rounded + 100, Reported: e.Rounded + 100, CarriedIn: 100,
		CarriedOut: -5, State: schema.SlotAcked, Revision: 2, Unpriced: 1,
	}
	for i, v := range []schema.Verdict{schema.Duplicate, schema.Accepted} {
		r := schema.Revision{Verdict: v, Attempts: 2}
		r.Slot, r.Revision, r.Mode = slot, uint32(i+1), schema.Preaggregated
		r.Total, r.Send = e.Report.Billable-int64(1-i), e.Report.Billable-int64(1-i)
		r.Customer, r.CreatedAt = "cus_123", start.Add(time.Duration(70+i)*time.Minute)
		r.Identifier = Identifier(slot, r.Revision)
		e.Revisions = append(e.Revisions, r)
	}
	e.Outcomes = []schema.Outcome{
		{
			Slot: slot, Revision: 1, Verdict: schema.Unknown, At: start.Add(71 * time.Minute),
			Detail: "net/http: timeout\x1b[31m\nawaiting response headers",
		},
		{
			Slot: slot, Revision: 1, Verdict: schema.Duplicate, At: start.Add(72 * time.Minute),
			HTTPStatus: 400, RequestID: "req_1", Detail: "An event already exists with identifier",
		},
		{
			Slot: slot, Revision: 2, Verdict: schema.Accepted, At: start.Add(73 * time.Minute),
			HTTPStatus: 200, RequestID: "req_2",
		},
	}
	return e
}

// TestExplanationsAreAPage holds pages of text against golden files: -update-pages rewrites them.
// Without visible the escape sequence in an answer's detail reached the terminal.
func TestExplanationsAreAPage(t *testing.T) {
	t.Parallel()
	f := func(name string, e schema.Explanation) {
		t.Helper()
		var got strings.Builder
		if err := RenderExplanation(&got, e); err != nil {
			t.Fatal(err)
		}
		path := "testdata/explanation_" + name + ".txt"
		if *updatePages {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	e := explained(t)
	f("everything", e)

	raw := e
	raw.Report.Unit, raw.Report.State = schema.WholeUnits, schema.SlotSent
	raw.Report.Reported = 7_331_100
	raw.Report.Closed, raw.Report.Billable = true, 7_331_194
	raw.Exact, raw.Rounded = rounded(raw.Usage, schema.WholeUnits)
	raw.Revisions = append([]schema.Revision(nil), e.Revisions...)
	for i := range raw.Revisions {
		raw.Revisions[i].Mode = schema.Raw
	}
	raw.Revisions[1].Send, raw.Revisions[1].Verdict = -6, schema.NotSent
	raw.Outcomes, raw.Events, raw.Carries = e.Outcomes[:2], nil, nil
	raw.Report.CarriedIn, raw.Report.CarriedOut = 0, 0
	f("raw", raw)

	f("unmapped", schema.Explanation{
		Report: schema.SlotReport{
			Slot:     schema.Slot{Organization: e.Report.Slot.Organization, Start: e.Report.Slot.Start},
			Billable: 15, State: schema.SlotUnmapped, Detail: "set stripe.customer",
		},
		Usage: []schema.SlotUsage{{
			UsageType: schema.VapiSeconds, Pricing: schema.Given, Events: 1, Measurements: 1,
			Quantity: amount(t, "0.25"), BilledCost: money(t, "0.000015"),
		}},
		Exact: "15", Rounded: 15,
	})
	f("carried", schema.Explanation{
		Report: schema.SlotReport{
			Slot: e.Report.Slot, Billable: -20, CarriedIn: -20, State: schema.SlotPending,
		},
		Exact: "0", Carries: []schema.Carry{{
			From: e.Report.Slot.Start.Add(-time.Hour), To: e.Report.Slot.Start, Number: 1, Units: -20,
			CreatedAt: e.Report.Slot.Start,
		}},
	})
}

// With each row rounded by itself, two halves came to nothing, and twice one and a half to four.
func TestNumbersAreRoundedOnceForASlot(t *testing.T) {
	t.Parallel()
	usage := func(costs ...string) (all []schema.SlotUsage) {
		for _, c := range costs {
			all = append(all, schema.SlotUsage{BilledCost: money(t, c), Quantity: amount(t, "0.5")})
		}
		return all
	}
	f := func(unit schema.MeterUnit, exact string, units int64, costs ...string) {
		t.Helper()
		gotExact, got := rounded(usage(costs...), unit)
		if gotExact != exact || got != units {
			t.Errorf("%v: %s, %d, want %s, %d", costs, gotExact, got, exact, units)
		}
	}
	f(schema.MicroUSD, "0", 0)
	// Rounded one by one, these would be nothing and four.
	f(schema.MicroUSD, "1", 1, "0.0000005", "0.0000005")
	f(schema.MicroUSD, "3", 3, "0.0000015", "0.0000015")
	f(schema.MicroUSD, "0.5", 0, "0.0000005")
	f(schema.MicroUSD, "1.5", 2, "0.0000015")
	f(schema.MicroUSD, "2.500001", 3, "0.000002500001")
	f(schema.MicroUSD, "-0.5", 0, "-0.0000005")
	f(schema.WholeUnits, "1.5", 2, "0", "0", "0")
	// As SQL clamps what is far too large to be sent.
	f(schema.MicroUSD, "2000000000000000000000", 1_000_000_000_000_000_000,
		"999999999999999", "999999999999999", "2")
}

// TestOnlyAttemptsHaveAnAnswer: what was learned later, or never sent, is not an answer that failed
// to come. It was shown as one, seen before.
func TestOnlyAttemptsHaveAnAnswer(t *testing.T) {
	f := func(v schema.Verdict, status uint16, want string) {
		t.Helper()
		if got := httpText(schema.Outcome{Verdict: v, HTTPStatus: status}); got != want {
			t.Errorf("%s, status %d: %q, want %q", v, status, got, want)
		}
	}
	f(schema.Unknown, 0, "no answer")
	f(schema.Unknown, 502, "HTTP 502")
	f(schema.Accepted, 200, "HTTP 200")
	f(schema.Rejected, 0, "-") // it was not sent
	for _, v := range []schema.Verdict{
		schema.Abandoned, schema.Settled, schema.Refused, schema.Differs,
	} {
		f(v, 0, "-")
	}
}
