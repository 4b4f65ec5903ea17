package billing_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// as returns a Reporter of the office's with a key of another account's.
func (o *office) as(s *billingtest.Stripe, key string) *billing.Reporter {
	o.Helper()
	logger := slog.New(slog.NewTextHandler(o.log, nil))
	client, err := billing.NewClient(billing.ClientConfig{
		Key: key, Base: s.URL, Now: o.clock.Now, Logger: logger,
	})
	if err != nil {
		o.Fatal(err)
	}
	r, err := billing.New(billing.Config{
		Queries: o.q, Stripe: client, Mode: o.mode, Writer: uuid.New(), Now: o.clock.Now,
		Logger: logger, Rate: 10_000,
	})
	if err != nil {
		o.Fatal(err)
	}
	return r
}

// TestWhatATestAccountWasToldIsNotTold: a database that was reported to a test account gets the key
// of the live one, another test account's, one that may not say whose it is, and the live one's
// again, with consent. With foreign's look at the start of a pass left out, and that before the
// first is told, the live key's pass told it the hour that was new and nothing of what the test
// account has; with outcomes left out of NewAccount the same.
func TestWhatATestAccountWasToldIsNotTold(t *testing.T) {
	t.Parallel()
	for _, mode := range []schema.ReportMode{schema.Preaggregated, schema.Raw} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			testAccounts(t, build(t).office(t, mode, 1, billingtest.Options{}))
		})
	}
}

func testAccounts(t *testing.T, o *office) {
	other := func(account string) *billingtest.Stripe {
		how := billingtest.ByArrival
		if o.mode == schema.Raw {
			how = billingtest.AddsUp
		}
		return billingtest.New(t, o.clock, billingtest.Options{
			Account: account, UnknownAtOnce: true, Customers: []string{"cus_live"},
			Meters: []billingtest.Meter{{Name: meter, Ingestion: how}},
		})
	}
	live, strange := other("acct_live"), other("acct_strange")
	hours := func(s *billingtest.Stripe) string {
		return fmt.Sprint(s.Total("cus_live", meter, o.back(1)), s.Total("cus_live", meter, o.hour))
	}
	o.run(schema.RunDone) // nothing was told: any account may be the first
	o.use("1", o.back(1), 100)
	o.run(schema.RunDone)
	o.use("1", o.back(1), 11)
	o.run(schema.RunDone)
	o.use("1", o.hour, 20)
	toLive := o.as(live, "sk_live_account")
	for _, r := range []*billing.Reporter{toLive, o.as(strange, "sk_test_account")} {
		run := o.pass(r, schema.RunHalted)
		if !strings.Contains(run.Detail, "a test account (acct_test)") ||
			!strings.Contains(run.Detail, "--new-account") {
			t.Errorf("the pass halted: %s", run.Detail)
		}
		if _, err := r.Reconcile(t.Context()); schema.KindOf(err) != schema.Unavailable {
			t.Errorf("it compares: %v", err)
		}
	}
	if n := live.Counts().Calls + strange.Counts().Calls; n != 0 {
		t.Errorf("%d calls of other accounts", n)
	}
	o.pass(o.as(o.stripe, "rk_test_account"), schema.RunDone)
	o.has("1", o.hour, 20)

	moved := o.organization("1", "cus_live")
	billingtest.Catalog(t, o.q, []schema.Organization{moved}, nil)
	accept := func(want int, kind schema.Kind) {
		t.Helper()
		n, err := toLive.NewAccount(t.Context())
		if n != want || schema.KindOf(err) != kind {
			t.Errorf("a new account: %d revisions, %v; want %d", n, err, want)
		}
	}
	o.invoice("1", o.back(2), 0)
	accept(0, schema.Conflict)
	moved.Stripe.Since = o.back(2)
	billingtest.Catalog(t, o.q, []schema.Organization{moved}, nil)
	accept(3, 0)
	accept(0, schema.Conflict)
	o.pass(o.reporter(), schema.RunHalted) // it is the other way round now
	o.clock.Advance(2*time.Hour + time.Minute)
	o.pass(toLive, schema.RunDone)
	if got := hours(live); got != "111 20" {
		t.Errorf("the live account has %s, want 111 20; %s", got, o.revisions("1", o.back(1)))
	}
	o.sound()
}
