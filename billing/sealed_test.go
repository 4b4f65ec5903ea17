package billing_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

func TestHoursWait(t *testing.T) {
	t.Parallel()
	b := build(t)
	t.Run("without a customer", func(t *testing.T) { testWithoutCustomer(t, b) })
	t.Run("for consent", func(t *testing.T) { testCredit(t, b) })
	t.Run("of the retired", func(t *testing.T) { testRetired(t, b) })
	t.Run("for what comes late", func(t *testing.T) { testSealDelay(t, b) })
	t.Run("for the sweep", func(t *testing.T) { testSweep(t, b) })
}

// testSealDelay: an hour is told ten minutes after its end, and not before. With sealed's delay left
// out it was told at once.
func testSealDelay(t *testing.T, b *building) {
	o := b.office(t, schema.Preaggregated, 1, billingtest.Options{})
	hour := o.hour.Add(2 * time.Hour) // it is half past
	o.use("1", hour, 5)
	for _, step := range []struct {
		wait time.Duration
		sent uint64
	}{{30 * time.Minute, 0}, {10*time.Minute - time.Second, 0}, {time.Second, 1}} {
		o.clock.Advance(step.wait)
		if run := o.run(schema.RunDone); run.Sent != step.sent {
			t.Errorf("%s later %d sent, want %d", step.wait, run.Sent, step.sent)
		}
	}
	o.has("1", hour, 5)
}

// testSweep has one node that runs and has not looked for copies for a while: the hour that ended
// since is not told. With the nodes left out of sealed it was told in the first pass; without the
// bound on the wait it was never.
func testSweep(t *testing.T, b *building) {
	o := b.office(t, schema.Preaggregated, 1, billingtest.Options{})
	hour := o.clock.Now().Add(-time.Hour).Truncate(time.Hour)
	o.use("1", hour, 5)
	s, err := o.q.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	say := func(behind time.Duration, stopped bool) {
		t.Helper()
		s.Now = s.Now.Add(time.Millisecond)
		err := o.q.SayNode(t.Context(), queries.Node{
			ID: o.id("node"), SaidAt: s.Now, SweptAt: s.Now.Add(-behind), Stopped: stopped,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sent := func(want uint64) {
		t.Helper()
		if run := o.run(schema.RunDone); run.Sent != want {
			t.Errorf("%d sent, want %d", run.Sent, want)
		}
	}
	say(50*time.Minute, false) // it is half past, the hour ended half an hour ago
	sent(0)
	say(3*time.Second, false)
	sent(1)
	o.use("1", hour, 6)
	say(50*time.Minute, true) // who ended in order owes no look
	sent(1)
	o.use("1", hour, 7)
	say(30*24*time.Hour, false)
	sent(0)
	o.clock.Advance(time.Hour)
	sent(1)
}

// testWithoutCustomer takes an organization's customer away and gives it back. What Stripe was told
// stays meanwhile: with plan looking at the slot alone the hour was told to be 0. An organization
// that is retired used what it used.
func testWithoutCustomer(t *testing.T, b *building) {
	o := b.office(t, schema.Preaggregated, 2, billingtest.Options{})
	mapped := o.organization("1", o.customer("1"))
	o.useMany(1, 5, "1", "2")
	o.run(schema.RunDone)
	o.has("1", o.hour, 5)

	mapped.Stripe.Customer = ""
	billingtest.Catalog(t, o.q, []schema.Organization{mapped}, nil)
	o.retire(o.organization("2", o.customer("2")))
	o.useMany(1, 2, "1", "2")
	o.run(schema.RunDone)
	o.has("1", o.hour, 5)
	o.has("2", o.hour, 7)

	mapped.Stripe.Customer = o.customer("1")
	billingtest.Catalog(t, o.q, []schema.Organization{mapped}, nil)
	o.run(schema.RunDone)
	o.has("1", o.hour, 7)
	o.sound()
}

// testRetired retires an organization: its last hour, of which nothing was told yet, is told, and
// what an invoice lacks is carried. With retired organizations left out of targets the hour was
// never told; with one in the way of whoever has its customer now, neither of them was.
func testRetired(t *testing.T, b *building) {
	o := b.office(t, schema.Preaggregated, 2, billingtest.Options{})
	o.useMany(1, 5, "1", "2")
	o.run(schema.RunDone)
	last := o.hour.Add(2 * time.Hour)
	o.use("1", last, 7)
	o.use("2", last, 8)
	o.retire(o.organization("1", o.customer("1")))
	o.retire(o.organization("2", o.customer("2")))
	next := o.organization("3", o.customer("2"))
	next.Stripe.SubscriptionItem = o.item("2")
	billingtest.Catalog(t, o.q, []schema.Organization{next}, nil)
	o.use("3", last.Add(time.Hour), 9)
	o.clock.Advance(3 * time.Hour)
	o.run(schema.RunDone)
	o.has("1", last, 7)
	o.has("2", last, 0) // somebody has to look: it is the next one's hour as well
	o.has("2", last.Add(time.Hour), 9)
	if !strings.Contains(o.log.text(), "tells them apart") {
		t.Errorf("nobody is told:\n%s", o.log.text())
	}
	o.invoice("1", last.Add(time.Hour), 10)
	o.clock.Advance(25 * time.Hour)
	o.run(schema.RunDone)
	if got := o.carries("1"); got != "1 of 2" {
		t.Errorf("carries: %s, want one of 2", got)
	}
	o.sound()
}

// retire takes an organization out of the catalog.
func (o *office) retire(organization schema.Organization) {
	o.Helper()
	version, err := o.q.CatalogVersion(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	err = o.q.SaveCatalog(o.Context(), schema.CatalogChange{
		Retire:  schema.Catalog{Organizations: []schema.Organization{organization}},
		Version: version + 1, At: time.Now(), Actor: "test",
	})
	if err != nil {
		o.Fatal(err)
	}
}

// testCredit takes back what two invoices have: a tenth of one, and all of the other, as moving
// usage to another meter would. With withheld's question left out nobody was told; with the limit
// left out of what is carried all of it was taken off.
func testCredit(t *testing.T, b *building) {
	o := b.office(t, schema.Preaggregated, 2, billingtest.Options{})
	o.use("1", o.hour, 90)
	little, all := o.use("1", o.hour, 10), o.use("2", o.hour, 100)
	o.run(schema.RunDone)
	o.invoice("1", o.hour.Add(time.Hour), 100)
	o.invoice("2", o.hour.Add(time.Hour), 100)
	billingtest.Void(t, o.q, little)
	billingtest.Void(t, o.q, all)
	limited := func(percent int) *billing.Reporter {
		client, err := billing.NewClient(billing.ClientConfig{
			Key: apiKey, Base: o.stripe.URL, Now: o.clock.Now,
			Logger: slog.New(slog.NewTextHandler(o.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := billing.New(billing.Config{
			Queries: o.q, Stripe: client, Mode: o.mode, Writer: o.id("writer"), Now: o.clock.Now,
			Logger: slog.New(slog.NewTextHandler(o.log, nil)), CreditLimit: percent,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	o.pass(limited(20), schema.RunDone)
	if one, two := o.carries("1"), o.carries("2"); one != "1 of -10" || two != "0 of 0" {
		t.Errorf("carries: %s, %s, want the tenth only", one, two)
	}
	if !strings.Contains(o.log.text(), "--credit-limit 0") {
		t.Errorf("nobody is told:\n%s", o.log.text())
	}
	o.pass(limited(0), schema.RunDone)
	if two := o.carries("2"); two != "1 of -100" {
		t.Errorf("carries with consent: %s", two)
	}
}
