package billing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/schema"
)

func TestReporterInTrouble(t *testing.T) {
	t.Parallel()
	inTurn(t, schema.Preaggregated, map[string]inMode{
		"a frozen one drops what it read":            testFrozen,
		"a limit is for everyone":                    testLimits,
		"a number whose token is forgotten":          testForgottenTokens,
		"a refused key ends the pass":                testRefusedKey,
		"a stopped pass writes what it knows":        testStopped,
		"nothing is sent without a key":              testNoKey,
		"one bad customer blocks nobody":             testBadCustomers,
		"stripe is away":                             testStripeAway,
		"unread notices keep nothing waiting":        testUnreadNotices,
		"who would overwrite another is not told of": testShared,
	})
}

// testNoKey: and nothing is fixed either, so that what was meant for a test
// account is not what a real one is told.
func testNoKey(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	r, err := billing.New(billing.Config{
		Queries: o.q, Mode: o.mode, Writer: uuid.New(), Now: o.clock.Now,
		Logger: slog.New(slog.NewTextHandler(o.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.Run(t.Context())
	if err != nil || run.Slots != 1 || run.Sent+run.Failed != 0 || run.Detail == "" {
		t.Errorf("a pass without a key: %+v, %v", run, err)
	}
	o.told("1", o.hour, "")
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:accepted")
}

// testBadCustomers: one whom Stripe does not know, and one of whom no call is ever
// answered; the others are told, and once the catalog has the right customer, so is the first. With
// the rule of tired customers removed the pass made all five calls of the second; with that of
// moves removed the first was refused again.
func testBadCustomers(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 4, billingtest.Options{UnknownAtOnce: true})
	wrong := o.organization("1", "cus_wrong")
	billingtest.Catalog(t, o.q, []schema.Organization{wrong}, nil)
	registry := prometheus.NewRegistry()
	o.usual = o.reporterWith(nil, registry)
	o.useMany(5, 5, "2", "3", "4")
	for i := range 5 {
		o.fail("2", o.back(i), billingtest.Unavailable)
	}
	o.use("1", o.hour, 100)
	run := o.run(schema.RunDone)
	if run.Slots != 16 || run.Sent != 10 || run.Failed != 6 {
		t.Errorf("the pass: %+v", run)
	}
	if n := o.stripe.Counts().Faults; n != 3 {
		t.Errorf("%d calls for the customer who is never answered, want 3", n)
	}
	for i := range 5 {
		o.has("3", o.back(i), 5)
		o.has("4", o.back(i), 5)
	}
	o.told("1", o.hour, "1:100:rejected")
	o.measured(registry, `runs_total{end="done"} 1`, `calls_total{verdict="accepted"} 10`,
		`calls_total{verdict="unknown"} 3`, `calls_total{verdict="rejected"} 1`,
		"unsynced_slots 6", "rejected_slots 1", "conflicts 0")

	right := o.organization("1", o.customer("1"))
	billingtest.Catalog(t, o.q, []schema.Organization{right}, nil)
	o.clock.Advance(30 * time.Minute)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:rejected") // it rests for an hour
	o.clock.Advance(40 * time.Minute)
	run = o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:rejected 2:100:accepted")
	o.has("1", o.hour, 100)
	if run.Failed != 0 {
		t.Errorf("the last pass: %+v", run)
	}
	o.sound()
}

// testRefusedKey: nothing is wrong with the slots then, and nothing is noted of them. With both
// looks at over() in send.go removed the pass went on calling.
func testRefusedKey(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.useMany(12, 100, "1")
	for i, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		o.stripe.Refuse(apiKey, status)
		run, calls := o.run(schema.RunHalted), o.stripe.Counts().Calls
		if run.Sent != 0 || run.Failed != 12 || calls != i+1 {
			t.Errorf("%d: %+v after %d calls", status, run, calls)
		}
	}
	if !strings.Contains(o.log.text(), "STRIPE_API_KEY") {
		t.Errorf("the log does not say what to do:\n%s", o.log.text())
	}
	o.told("1", o.hour, "1:100:not_sent")
	o.stripe.Refuse(apiKey, 0)
	if run := o.run(schema.RunDone); run.Sent != 12 {
		t.Errorf("with a good key again: %+v", run)
	}
	o.sound()
}

// testLimits: Stripe asks one for fewer calls, and another waits too; longer
// each time. With the look at earlier passes removed the second reporter called at once. A pass
// that would have others wait for years had a wrong clock: with waitsUntil's bound removed they did.
func testLimits(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	first, second := o.reporter(), o.reporter()
	for i, least := range []time.Duration{time.Minute, 2 * time.Minute} {
		calls := o.stripe.Counts().Calls
		o.stripe.FailNext("", billingtest.RateLimited)
		run := o.pass(first, schema.RunLimited)
		if wait := run.NotBefore.Sub(o.clock.Now()); wait < least || wait > least+least/10 {
			t.Errorf("limited %d times: waits %s, want %s and a little", i+1, wait, least)
		}
		o.clock.Advance(least - time.Second)
		run = o.pass(second, schema.RunLimited)
		if !strings.Contains(run.Detail, "waiting until") {
			t.Errorf("the other: %+v", run)
		}
		if n := o.stripe.Counts().Calls - calls; n != 1 {
			t.Errorf("limited %d times: %d calls, want 1", i+1, n)
		}
		o.clock.Advance(least/10 + time.Second)
		first, second = second, first
	}
	o.told("1", o.hour, "1:100:not_sent")
	years := o.clock.Now().AddDate(4, 0, 0)
	if err := o.q.InsertReportRun(t.Context(), schema.ReportRun{
		ID: uuid.New(), Writer: uuid.New(), StartedAt: o.clock.Now(), EndedAt: o.clock.Now(),
		End: schema.RunLimited, NotBefore: years,
	}); err != nil {
		t.Fatal(err)
	}
	o.pass(second, schema.RunDone)
	o.told("1", o.hour, "1:100:accepted")
}

// testStripeAway: ten customers in a row without an answer end the pass, and the next ones wait.
// With listen's end of the pass removed the pass went through all of them, and ended as done.
func testStripeAway(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 20, billingtest.Options{})
	o.useMany(1, 10, upTo(20)...)
	from := o.clock.Now()
	o.stripe.Outage(from, from.Add(30*time.Second), false)
	run := o.run(schema.RunUnreachable)
	// Ten, seven that are under way, and the one on a connection that was used before: net/http makes
	// that again by itself, as it has a key.
	if n := o.stripe.Counts().Calls; n < 10 || n > 18 || !run.NotBefore.After(from) {
		t.Errorf("%d calls, %+v", n, run)
	}
	o.clock.Advance(40 * time.Second)
	o.run(schema.RunUnreachable) // still
	o.clock.Advance(time.Minute)
	o.run(schema.RunDone)
	for i := range 20 {
		o.has(fmt.Sprint(i+1), o.hour, 10)
	}
	o.sound()
}

// testStopped: its context ends after Stripe has taken the first slot.
func testStopped(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.use("1", o.hour.Add(-time.Hour), 50)
	ctx, cancel := context.WithCancel(t.Context())
	r := o.reporter()
	r.CrashAt(func(step string) error {
		if step == "sent" {
			cancel()
		}
		return nil
	})
	if run, err := r.Run(ctx); !errors.Is(err, context.Canceled) || run.Sent != 1 {
		t.Errorf("the stopped pass: %+v, %v", run, err)
	}
	o.told("1", o.hour.Add(-time.Hour), "1:50:accepted")
	o.told("1", o.hour, "1:100:not_sent")
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:accepted")
	o.sound()
}

// unsaid is Stripe's answers without the word that they are replays.
type unsaid struct{ http.RoundTripper }

func (u unsaid) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := u.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Header.Del("Idempotent-Replayed")
	}
	return answer, err
}

// testReplayedError: Stripe has saved a 500 under the key and repeats it for a day, and does not
// say that it does. With the rule of the second error removed the slot was unknown after an hour.
func testReplayedError(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.usual = o.reporterWith(unsaid{http.DefaultTransport}, nil)
	o.use("1", o.hour, 100)
	o.stripe.FailNext("", billingtest.FailedAndSaved)
	for range 4 {
		o.run(schema.RunDone)
		o.clock.Advance(15 * time.Minute)
	}
	o.told("1", o.hour, "1:100:accepted")
	o.has("1", o.hour, 100)
	o.sound()
}

// testUnreadNotices: the table of notices is away. The pass fails, and every slot is told all the
// same. With an error of the notices ending the pass the slot was not told.
func testUnreadNotices(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.db.Exec("RENAME TABLE stripe_webhooks TO away")
	run, err := o.reporter().Run(t.Context())
	o.db.Exec("RENAME TABLE away TO stripe_webhooks")
	if err == nil || run.End != schema.RunFailed || run.Sent != 1 {
		t.Errorf("the pass: %+v, %v", run, err)
	}
	o.told("1", o.hour, "1:100:accepted")
}

// testShared: two organizations of one customer and meter are not reported. With
// the look for them removed Stripe had the 100 of one for both.
func testShared(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 2, billingtest.Options{})
	third := o.organization("3", o.customer("1"))
	billingtest.Catalog(t, o.q, []schema.Organization{third}, nil)
	o.use("1", o.hour, 100)
	o.use("2", o.hour, 5)
	o.use("3", o.hour, 7)
	if run := o.run(schema.RunDone); run.Slots != 3 || run.Sent != 1 || run.Failed != 2 {
		t.Errorf("the pass: %+v", run)
	}
	o.has("1", o.hour, 0)
	o.has("2", o.hour, 5)
	if !strings.Contains(o.log.text(), "tells them apart") {
		t.Errorf("the log does not say what to do:\n%s", o.log.text())
	}
}

// testForgottenTokens: one is stopped before it writes a batch, and one before a carry, for longer
// than the table remembers the tokens of those who went on. With the second look at the newest
// batch removed two batches had one number; with that at the carries two carries had, and Stripe
// was told of both.
func testForgottenTokens(t *testing.T, b *building, mode schema.ReportMode) {
	for _, table := range []string{"report_intents", "report_carries"} {
		b.db.Exec("ALTER TABLE " + table +
			" MODIFY SETTING non_replicated_deduplication_window = 1")
	}
	o := b.office(t, mode, 2, billingtest.Options{})
	stopped := func(at string, meanwhile func()) {
		t.Helper()
		r, done := o.reporter(), false
		r.CrashAt(func(step string) error {
			if step == at && !done {
				done = true
				meanwhile()
				o.clock.Advance(2 * time.Second)
			}
			return nil
		})
		o.pass(r, schema.RunDone)
	}
	o.use("1", o.hour, 100)
	stopped("freeze", func() {
		o.run(schema.RunDone)
		o.use("2", o.hour, 5)
		o.run(schema.RunDone)
	})
	o.told("1", o.hour, "1:100:accepted")
	for _, name := range upTo(2) {
		o.invoice(name, o.hour.Add(time.Hour), 0)
	}
	stopped("carry", func() { o.pass(o.reporter(), schema.RunDone) })
	if one, two := o.carries("1"), o.carries("2"); one != "1 of 100" || two != "1 of 5" {
		t.Errorf("carries: %s, %s", one, two)
	}
	if n := o.db.Strings("SELECT toString(count() - uniqExact(batch)) FROM (SELECT DISTINCT " +
		"batch, batch_id FROM report_intents)")[0]; n != "0" {
		t.Errorf("%s batches share a number", n)
	}
	o.sound()
}
