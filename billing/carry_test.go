package billing_test

import (
	"sync"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// invoice has the hours up to and with a sealed one be of an invoiced period.
func (o *office) invoice(name string, until time.Time, units int64) {
	o.Helper()
	if err := o.q.SavePeriods(o.Context(), []schema.StripePeriod{{
		Organization: o.id(name), Meter: meter,
		Start: until.Add(-10 * time.Hour), End: until, Finalized: true, Invoice: "in_1",
		InvoicedUnits: units, SeenAt: o.clock.Now(),
	}}); err != nil {
		o.Fatal(err)
	}
}

// carries returns how many carries there are of an organization.
func (o *office) carries(name string) string {
	o.Helper()
	return o.db.Strings("SELECT concat(toString(count()), ' of ', toString(sum(units))) "+
		"FROM report_carries WHERE organization_id = ?", o.id(name))[0]
}

// testCarries: what comes after the invoice goes to the newest sealed hour, once a day; the hour
// that is closed is not told of again. Two reporters that see the same carry it once.
func testCarries(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	event := o.use("1", o.hour, 100)
	o.run(schema.RunDone)
	o.invoice("1", o.hour.Add(time.Hour), 100)
	o.use("1", o.hour, 30)

	first, second := o.reporter(), o.reporter()
	var once sync.Once
	first.CrashAt(func(step string) error {
		if step == "carry" {
			once.Do(func() { o.pass(second, schema.RunDone) })
		}
		return nil
	})
	o.pass(first, schema.RunDone)
	if got := o.carries("1"); got != "1 of 30" {
		t.Errorf("carries: %s, want one of 30", got)
	}
	o.told("1", o.hour, "1:100:accepted")
	o.told("1", o.hour.Add(time.Hour), "1:30:accepted")

	o.use("1", o.hour, 5)
	o.clock.Advance(23 * time.Hour)
	o.run(schema.RunDone)
	if got := o.carries("1"); got != "1 of 30" {
		t.Errorf("carries on the same day: %s, want one of 30", got)
	}
	o.clock.Advance(time.Hour + time.Minute)
	o.run(schema.RunDone)
	next := o.hour.Add(25 * time.Hour)
	o.has("1", next, 5)

	// What is taken back is taken off, but for usage records, which cannot be below zero.
	billingtest.Void(t, o.q, event)
	o.clock.Advance(25 * time.Hour)
	o.run(schema.RunDone)
	next = o.hour.Add(50 * time.Hour)
	want, carries := int64(-100), "3 of -65"
	if mode == schema.UsageRecord {
		want, carries = 0, "2 of 35"
	}
	o.has("1", next, want)
	if got := o.carries("1"); got != carries {
		t.Errorf("carries: %s, want %s", got, carries)
	}
	o.has("1", o.hour, 100)
	o.sound()
}

// testCarriedLater: a pass that crashed around its carry, and an hour with nothing sealed after it.
func testCarriedLater(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour.Add(time.Hour), 100)
	o.run(schema.RunDone)
	o.invoice("1", o.hour.Add(2*time.Hour), 90)
	o.pass(o.reporter(), schema.RunDone)
	if got := o.carries("1"); got != "0 of 0" {
		t.Errorf("carries before an hour is sealed that is open: %s", got)
	}
	o.clock.Advance(time.Hour)
	for _, at := range []string{"carry", "carried"} {
		r := o.reporter()
		r.CrashAt(func(step string) error {
			if step == at {
				return errGone
			}
			return nil
		})
		if _, err := r.Run(t.Context()); err == nil {
			t.Errorf("the pass did not crash at %s", at)
		}
	}
	o.run(schema.RunDone)
	if got := o.carries("1"); got != "1 of 10" {
		t.Errorf("carries after two crashes: %s, want one of 10", got)
	}
	o.has("1", o.hour.Add(2*time.Hour), 10)
	o.sound()
}

// testTooOld: what is told of an hour after Stripe takes it is carried from it.
func testTooOld(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.run(schema.RunDone)
	o.clock.Advance(36 * 24 * time.Hour)
	o.use("1", o.hour, 40)
	o.run(schema.RunDone)
	o.has("1", o.hour, 100)
	o.has("1", o.hour.Add(36*24*time.Hour+time.Hour), 40)
	if got := o.carries("1"); got != "1 of 40" {
		t.Errorf("carries: %s, want one of 40", got)
	}
	o.sound()
}

// testClosedWhileOpen: the answer about a revision was lost, and then its period was invoiced.
// Stripe's sum of the hour tells what became of it; a usage record's the invoice tells.
func testClosedWhileOpen(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 2, billingtest.Options{})
	o.useMany(1, 100, "1", "2")
	o.fail("1", o.hour, billingtest.BadGateway) // Stripe has it
	o.fail("2", o.hour, billingtest.Failed)     // and has not
	o.run(schema.RunDone)
	o.invoice("1", o.hour.Add(time.Hour), 100)
	o.invoice("2", o.hour.Add(time.Hour), 0)
	o.clock.Advance(25 * time.Hour)
	o.run(schema.RunDone)
	if mode == schema.UsageRecord {
		o.told("1", o.hour, "1:100:abandoned")
	} else {
		o.told("1", o.hour, "1:100:settled")
	}
	o.told("2", o.hour, "1:100:abandoned")
	o.has("1", o.hour, 100)
	o.has("2", o.hour, 0)
	if got := o.carries("1") + ", " + o.carries("2"); got != "0 of 0, 1 of 100" {
		t.Errorf("carries: %s", got)
	}
	o.has("2", o.hour.Add(25*time.Hour+time.Hour), 100)
	o.sound()
}
