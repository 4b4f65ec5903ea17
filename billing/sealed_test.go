package billing_test

import (
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// TestHoursWaitForTheSweep has one node that runs and has not looked for copies for a while: the
// hour that ended since is not told. With the nodes left out of sealed it was told in the first
// pass; without the bound on the wait it was never.
func TestHoursWaitForTheSweep(t *testing.T) {
	t.Parallel()
	o := build(t).office(t, schema.Preaggregated, 1, billingtest.Options{})
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
