package billing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

var (
	november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	december = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	january  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	acme     = schema.Organization{
		ID: uuid.MustParse("00000000-0000-4000-8000-00000000000a"),
		Stripe: schema.StripeMapping{
			Customer: "cus_1", Meter: "rest", SubscriptionItem: "si_rest",
			Meters: []schema.MeterMapping{{Meter: "tokens"}},
		},
	}
)

func period(meter, invoice string, from, to time.Time, finalized bool, units int64,
) schema.StripePeriod {
	return schema.StripePeriod{
		Organization: acme.ID, Meter: meter, Start: from, End: to, Finalized: finalized,
		Invoice: invoice, InvoicedUnits: units, SeenAt: december,
	}
}

// TestLinesOfAMeterAddUp: without the look at a period's end the one that has only begun is closed,
// seen by removing it.
func TestLinesOfAMeterAddUp(t *testing.T) {
	line := func(meter, item string, from, to time.Time, quantity int64) InvoiceLine {
		return InvoiceLine{Meter: meter, SubscriptionItem: item, Start: from, End: to, Quantity: quantity}
	}
	p := periodsParams{
		Finalized: true, At: december, Customers: []schema.Organization{acme},
		IDs: map[string]string{"rest": "mtr_1", "tokens": "mtr_2"},
		Invoice: Invoice{ID: "in_1", Customer: "cus_1", Lines: []InvoiceLine{
			line("mtr_2", "si_other", november, december, 5),
			line("", "si_rest", november, december, 7),
			line("mtr_1", "si_new", november, december, 30),
			line("mtr_9", "si_foreign", november, december, 1),
			line("mtr_2", "si_other", november, december, -2),
			// What an invoice says of the period that has only begun closes nothing.
			line("mtr_2", "si_other", december, january, 0),
			// One of no known start was written as one from 1970 on, seen before.
			line("mtr_2", "si_other", time.Time{}, december, 0),
			line("mtr_2", "si_other", time.Unix(-5, 0), december, 0),
		}},
	}
	got, foreign, early := periodsOf(p)
	want := []schema.StripePeriod{
		period("rest", "in_1", november, december, true, 37),
		period("tokens", "in_1", november, december, true, 3),
	}
	if diff := cmp.Diff(want, got); diff != "" || foreign != 1 || early != 3 {
		t.Errorf("foreign %d, early %d, periods (-want +got):\n%s", foreign, early, diff)
	}

	p.Finalized = false // a draft's quantities change
	got, _, _ = periodsOf(p)
	for i := range want {
		want[i].Finalized, want[i].InvoicedUnits = false, 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}

	p.At = january // heard of when all is over: what counts is when it was made
	p.Invoice.Created = december
	if got, _, early := periodsOf(p); len(got) != 2 || early != 3 {
		t.Errorf("heard of late: early %d, periods %v", early, got)
	}
}

// TestMeterWithoutALine: what is missing of a final invoice was invoiced with nothing, where it is
// known that the meter belongs to it.
func TestMeterWithoutALine(t *testing.T) {
	f := func(name string, has, known, want []schema.StripePeriod) {
		t.Helper()
		got := withoutLine(Invoice{ID: "in_2"}, acme.ID, has, known, december)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	october := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	has := []schema.StripePeriod{period("rest", "in_2", november, december, true, 7)}
	zero := []schema.StripePeriod{period("tokens", "in_2", november, december, true, 0)}

	f("nothing is known", has, nil, nil)
	f("its draft had a line", has, []schema.StripePeriod{
		period("tokens", "in_2", november, december, false, 0),
	}, zero)
	f("the draft had a line, and it is the only one", nil, []schema.StripePeriod{
		period("tokens", "in_2", november, december, false, 0),
	}, zero)
	f("the invoice before had lines for both", has, []schema.StripePeriod{
		period("rest", "in_1", october, november, true, 1),
		period("tokens", "in_1", october, november, true, 2),
	}, zero)
	f("both", has, []schema.StripePeriod{
		period("tokens", "in_2", november, december, false, 0),
		period("rest", "in_1", october, november, true, 1),
		period("tokens", "in_1", october, november, true, 2),
	}, zero)
	f("another subscription has the meter", has, []schema.StripePeriod{
		period("rest", "in_1", october, november, true, 1),
		period("tokens", "in_7", october, november, true, 2),
	}, nil)
	f("it is repeated", append(has, zero...), append(has, zero...), nil)
}
