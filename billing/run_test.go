package billing_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

// inTurn runs tests in one building. Each takes hundredths of what a database of its own would.
func inTurn(t *testing.T, mode schema.ReportMode, all map[string]inMode) {
	t.Helper()
	b := build(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { all[name](t, b, mode) })
	}
}

type inMode func(t *testing.T, b *building, mode schema.ReportMode)

func TestReporter(t *testing.T) {
	t.Parallel()
	for mode := schema.Preaggregated; mode <= schema.Raw; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			all := map[string]inMode{
				"late usage and corrections are told again": testLateUsage,
				"two reporters fix one intent":              testTwoReporters,
				"what is invoiced is carried":               testCarries,
				"what is open when it is invoiced":          testClosedWhileOpen,
				"what may have arrived goes as it was":      testSentAgain,
			}
			switch mode {
			case schema.Preaggregated:
				all["what is too old is carried"] = testTooOld
			case schema.UsageRecord:
				all["an error that is replayed"] = testReplayedError
				all["what waits to be carried"] = testCarriedLater
			case schema.Raw:
				all["differences are not sent twice"] = testDifferences
				all["many at once tell what is billable"] = testReportersAtOnce
				all["a crash loses nothing"] = testCrashes
			}
			inTurn(t, mode, all)
		})
	}
}

// testLateUsage: whatever comes of a slot later, Stripe is told, in every
// mode; what has not changed is not told again, and an hour that is not sealed not at all.
func testLateUsage(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 2, billingtest.Options{})
	event := o.use("1", o.hour, 100)
	o.use("2", o.hour, 7)
	o.use("1", o.hour.Add(2*time.Hour), 1000)
	if run := o.run(schema.RunDone); run.Slots != 2 || run.Sent != 2 || run.Failed != 0 {
		t.Errorf("the first pass: %+v", run)
	}
	o.has("1", o.hour, 100)
	o.has("2", o.hour, 7)
	o.has("1", o.hour.Add(2*time.Hour), 0)

	posts := o.stripe.Counts().Posts
	if run := o.run(schema.RunDone); run.Slots != 0 || o.stripe.Counts().Posts != posts {
		t.Errorf("a pass without anything new: %+v", run)
	}
	o.use("1", o.hour, 20)
	o.run(schema.RunDone)
	o.has("1", o.hour, 120)
	billingtest.Correct(t, o.q, event, "1", billingtest.USD(40))
	o.run(schema.RunDone)
	o.has("1", o.hour, 60)
	o.told("1", o.hour, "1:100:accepted 2:120:accepted 3:60:accepted")
	o.clock.Advance(time.Hour + 40*time.Minute)
	o.run(schema.RunDone)
	o.has("1", o.hour.Add(2*time.Hour), 1000)
	o.sound()
}

// testSentAgain: nobody knows whether Stripe took the first revision, and there is more usage when it
// is sent again: the same number under the same name, and the rest by another revision. With the
// slot's number of now sent instead there was another value under the key, in every mode.
func testSentAgain(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.fail("1", o.hour, billingtest.BadGateway)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:unknown")
	o.use("1", o.hour, 20)
	o.clock.Advance(2 * time.Minute)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:accepted 2:120:accepted")
	o.has("1", o.hour, 120)
	o.sound()
}

// testTwoReporters: both have read the same and planned the same number of a batch, and
// the second has seen usage more. The first to write wins, and both send what it wrote. With the
// token of the insert removed there were two intents of one revision, and 100 was told first.
func testTwoReporters(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	first, second := o.reporter(), o.reporter()
	var once sync.Once
	first.CrashAt(func(step string) error {
		if step == "freeze" {
			once.Do(func() {
				o.use("1", o.hour, 11)
				second.CrashAt(func(step string) error {
					if step == "frozen" {
						return errGone
					}
					return nil
				})
				if _, err := second.Run(t.Context()); err == nil {
					t.Error("the second reporter did not crash")
				}
			})
		}
		return nil
	})
	o.pass(first, schema.RunDone)
	o.told("1", o.hour, "1:111:accepted")
	o.has("1", o.hour, 111)
	if n := o.db.Strings("SELECT toString(count()) FROM report_intents "+
		"WHERE organization_id = ?", o.id("1"))[0]; n != "1" {
		t.Errorf("%s intents, want 1", n)
	}
	o.sound()
}

// testReportersAtOnce: many at a time, with usage coming in between, tell what is billable.
func testReportersAtOnce(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 6, billingtest.Options{})
	for round := range 2 {
		o.useMany(round+1, 10, upTo(6)...)
		var all sync.WaitGroup
		for range 2 {
			r := o.reporter()
			all.Go(func() {
				if _, err := r.Run(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		o.clock.Advance(10 * time.Minute)
	}
	o.run(schema.RunDone)
	for _, name := range upTo(6) {
		o.has(name, o.hour, 20)
		o.has(name, o.back(1), 10)
	}
	o.sound()
}

// testFrozen: it is stopped right before a call, and goes on a day later,
// when Stripe has forgotten the name of what another has replaced since. With the look at the clock
// removed Stripe had 100 in the end.
func testFrozen(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	frozen := o.reporter()
	var once sync.Once
	frozen.CrashAt(func(step string) error {
		if step == "send" {
			once.Do(func() {
				o.run(schema.RunDone)
				o.use("1", o.hour, 20)
				o.run(schema.RunDone)
				o.clock.Advance(25 * time.Hour)
			})
		}
		return nil
	})
	o.pass(frozen, schema.RunDone)
	o.told("1", o.hour, "1:100:accepted 2:120:accepted")
	o.has("1", o.hour, 120)
	o.sound()
}

// testCrashes: the next pass of another process goes on, and what it did not know that Stripe has,
// Stripe says. With an open revision that is tried again taken for one that was never sent, the hour
// had 30 of 20 after the crash that came between Stripe's answer and its note.
func testCrashes(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	want := int64(0)
	for i, at := range []string{"frozen", "sent", "outcomes", "end"} {
		o.use("1", o.hour, 10)
		want += 10
		r := o.reporter()
		r.CrashAt(func(step string) error {
			if step == at {
				return errGone
			}
			return nil
		})
		if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("the pass did not crash at %s: %v", at, err)
		}
		o.clock.Advance(5 * time.Minute)
		o.run(schema.RunDone)
		o.has("1", o.hour, want)
		if n := o.stripe.Counts().Conflicts; n != 0 || i > 0 && o.Failed() {
			t.Fatalf("after the crash at %s: %d conflicts, %s", at, n, o.revisions("1", o.hour))
		}
	}
	o.sound()
}

// testDifferences: in mode raw nobody knows for a day whether Stripe took the first
// revision, and Stripe has forgotten its name. Its sums say it. With sendWithin raised to 100 hours
// Stripe had 200 of the first hour.
func testDifferences(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 2, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.use("2", o.hour, 100)
	o.fail("1", o.hour, billingtest.BadGateway)
	o.fail("2", o.hour, billingtest.Failed)
	from := o.clock.Now()
	o.run(schema.RunDone)
	o.stripe.Outage(from.Add(time.Second), from.Add(21*time.Hour), false)
	for range 4 {
		o.clock.Advance(5*time.Hour + 15*time.Minute)
		o.run(schema.RunDone)
	}
	o.told("1", o.hour, "1:100:unknown")
	posts := o.stripe.Counts().Posts
	// 21:30 after the first try it is too late to send, and too early to ask.
	o.clock.Advance(30 * time.Minute)
	o.run(schema.RunDone)
	if n := o.stripe.Counts().Posts - posts; n != 0 {
		t.Errorf("%d revisions were sent after 21 hours", n)
	}
	o.clock.Advance(5 * time.Hour)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:settled")
	o.told("2", o.hour, "1:100:abandoned 2:100:accepted")
	o.has("1", o.hour, 100)
	o.has("2", o.hour, 100)
	o.sound()
}
