package billing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// TestInvoicesOfFormerCustomers gives acme another customer as a period ends, before its invoice is
// there: what comes late for the period is carried to the new one. An invoice of whom two hours
// were told of by mistake closes nothing. With only the catalog's customers looked at, by notices
// or by reconciliations, the 11 were told to the old one after its last invoice, and never billed;
// with ofMost removed the second day was closed by an invoice of ten.
func TestInvoicesOfFormerCustomers(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"by notice", "by list"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			testFormer(t, way == "by notice")
		})
	}
}

func testFormer(t *testing.T, noticed bool) {
	d := newDesk(t, schema.Preaggregated, billingtest.Options{
		PeriodLength: 24 * time.Hour, Customers: []string{"cus_new"},
	})
	is := func(customer string) {
		billingtest.Catalog(t, d.q, []schema.Organization{{
			ID: acme, Name: "acme", Stripe: schema.StripeMapping{Customer: customer, Meter: costMeter},
		}}, nil)
	}
	heard := func() {
		if all := d.stripe.Notices(); noticed {
			d.post(all...)
		}
	}
	is("cus_new")
	d.uses(acme, 20, 100)
	d.uses(acme, 21, 40)
	d.clock.Set(at(23))
	is("cus_acme")
	d.run()
	d.uses(acme, 23, 60)
	is("cus_new")
	d.clock.Set(at(26))
	heard()
	d.reconcile() // and what nobody was told of is learned
	d.uses(acme, 20, 11)
	d.run()
	d.clock.Set(at(28))
	d.run()
	const closed = costMeter + " 2T00-3T00 true 140"
	if got := strings.Join(d.periods(), "\n"); got != closed {
		t.Errorf("periods: %s, want %s", got, closed)
	}
	if got := d.stripe.Sum("cus_new", costMeter, at(24), at(48)); got != 71 {
		t.Errorf("the new customer has %d, want the last hour's 60 and the late 11", got)
	}
	// Two hours of the second day are told of the old one by mistake.
	for hour := 30; hour < 36; hour++ {
		d.uses(acme, hour, 5)
		if hour == 31 {
			is("cus_acme")
			d.clock.Set(at(33))
			d.run()
			is("cus_new")
		}
	}
	d.clock.Set(at(50))
	d.run()
	heard()
	d.reconcile()
	if got := strings.Join(d.periods(), "\n"); got != closed {
		t.Errorf("periods: %s, want %s", got, closed)
	}
}
