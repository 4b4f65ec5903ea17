package billing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/billing/billingtest"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

const (
	meter  = "usage_micro_usd"
	apiKey = "sk_test_reporter"
)

var errGone = errors.New("gone")

// building is a database and a clock, for one test after the other.
type building struct {
	db    *schematest.Database
	q     *queries.Queries
	clock *billingtest.Clock
	used  int // offices
}

func build(t *testing.T) *building {
	t.Helper()
	db, q := billingtest.Open(t)
	clock := billingtest.NewClock(time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC))
	return &building{db: db, q: q, clock: clock}
}

// office is a part of a building with organizations and a Stripe of its own.
type office struct {
	testing.TB
	*building
	number int
	stripe *billingtest.Stripe
	mode   schema.ReportMode
	log    *lockedBuffer
	hour   time.Time // a sealed one
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// office returns an office at half past an hour of a new day, with organizations "1" to "n", each
// with a customer and a subscription item.
func (b *building) office(t *testing.T, mode schema.ReportMode, n int, o billingtest.Options,
) *office {
	t.Helper()
	b.used++
	now := b.clock.Advance(24 * time.Hour)
	of := &office{
		TB: t, building: b, number: b.used, mode: mode, log: &lockedBuffer{},
		hour: now.Add(-2 * time.Hour).Truncate(time.Hour),
	}
	how := billingtest.ByArrival
	if mode == schema.Raw {
		how = billingtest.AddsUp
	}
	o.Meters = []billingtest.Meter{{Name: meter, Ingestion: how}}
	var organizations []schema.Organization
	for i := range n {
		name := fmt.Sprint(i + 1)
		organizations = append(organizations, of.organization(name, of.customer(name)))
		o.Items = append(o.Items, billingtest.Item{
			ID: of.item(name), Customer: of.customer(name),
		})
	}
	billingtest.Catalog(t, b.q, organizations, nil)
	of.stripe = billingtest.New(t, b.clock, o)
	return of
}

func (o *office) id(name string) uuid.UUID {
	return billingtest.Organization(fmt.Sprintf("%d-%s", o.number, name))
}

func (o *office) customer(name string) string { return fmt.Sprintf("cus_%d_%s", o.number, name) }

func (o *office) item(name string) string { return fmt.Sprintf("si_%d_%s", o.number, name) }

func (o *office) organization(name, customer string) schema.Organization {
	return schema.Organization{ID: o.id(name), Name: name, Stripe: schema.StripeMapping{
		Customer: customer, Meter: meter, SubscriptionItem: o.item(name),
	}}
}

func (o *office) slot(name string, hour time.Time) schema.Slot {
	return schema.Slot{Organization: o.id(name), Meter: meter, Start: hour}
}

// reporter returns a Reporter of the office's, as of another process.
func (o *office) reporter() *billing.Reporter {
	o.Helper()
	logger := slog.New(slog.NewTextHandler(o.log, nil))
	client, err := billing.NewClient(billing.ClientConfig{
		Key: apiKey, WebhookSecret: billingtest.Secret, Base: o.stripe.URL, Now: o.clock.Now,
		Logger: logger,
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

// run makes a pass of another process and checks how it ended.
func (o *office) run(end schema.RunEnd) schema.ReportRun {
	o.Helper()
	return o.pass(o.reporter(), end)
}

func (o *office) pass(r *billing.Reporter, end schema.RunEnd) schema.ReportRun {
	o.Helper()
	run, err := r.Run(o.Context())
	if err != nil || run.End != end {
		o.Fatalf("the pass ended as %s (%s) with %v, want %s; the log:\n%s",
			run.End, run.Detail, err, end, o.log.text())
	}
	return run
}

// use stores usage of an organization in an hour.
func (o *office) use(name string, hour time.Time, micros int64) schema.Event {
	o.Helper()
	return billingtest.Usage(o, o.q, billingtest.Use{
		Organization: o.id(name), At: hour.Add(time.Minute), Type: "INPUT",
		Quantity: "1", Billed: billingtest.USD(micros),
	})[0]
}

// useMany stores usage of each organization in each of the hours back from a sealed one.
func (o *office) useMany(hours int, micros int64, names ...string) {
	o.Helper()
	var all []billingtest.Use
	for i := range hours {
		for _, name := range names {
			all = append(all, billingtest.Use{
				Organization: o.id(name), At: o.back(i).Add(time.Minute), Type: "INPUT",
				Quantity: "1", Billed: billingtest.USD(micros),
			})
		}
	}
	billingtest.Usage(o, o.q, all...)
}

// back returns the hour so many before a sealed one.
func (o *office) back(hours int) time.Time { return o.hour.Add(-time.Duration(hours) * time.Hour) }

func upTo(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(i+1))
	}
	return names
}

// fail makes the first call about a slot go wrong.
func (o *office) fail(name string, hour time.Time, f billingtest.Fault) {
	o.stripe.FailNext(billing.Identifier(o.slot(name, hour), 1), f)
}

// has fails the test unless Stripe has so many units of an organization's hour.
func (o *office) has(name string, hour time.Time, want int64) {
	o.Helper()
	got := o.stripe.Total(o.customer(name), meter, hour)
	if o.mode == schema.UsageRecord {
		got = o.stripe.Recorded(o.item(name), hour, hour.Add(time.Hour))
	}
	if got != want {
		o.Errorf("Stripe has %d of %s at %s, want %d", got, name, hour.Format("15:04"), want)
	}
}

// revisions returns what a slot was told, as revision:total:verdict.
func (o *office) revisions(name string, hour time.Time) string {
	o.Helper()
	all, err := o.q.SlotRevisions(o.Context(), o.slot(name, hour))
	if err != nil {
		o.Fatal(err)
	}
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("%d:%d:%s", r.Revision, r.Total, r.Verdict))
	}
	return strings.Join(out, " ")
}

func (o *office) told(name string, hour time.Time, want string) {
	o.Helper()
	if got := o.revisions(name, hour); got != want {
		o.Errorf("%s at %s was told %q, want %q", name, hour.Format("15:04"), got, want)
	}
}

// sound fails the test when a call was one that no reporter may make.
func (o *office) sound() {
	o.Helper()
	if breaches, n := o.stripe.Breaches(), o.stripe.Counts().Conflicts; len(breaches)+n > 0 {
		o.Errorf("%d conflicts of keys, %q", n, breaches)
	}
	if strings.Contains(o.log.text(), apiKey) {
		o.Error("the log shows the key")
	}
}

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

func TestReporterInTrouble(t *testing.T) {
	t.Parallel()
	inTurn(t, schema.Preaggregated, map[string]inMode{
		"a frozen one drops what it read":            testFrozen,
		"a limit is for everyone":                    testLimits,
		"a refused key ends the pass":                testRefusedKey,
		"a stopped pass writes what it knows":        testStopped,
		"nothing is sent without a key":              testNoKey,
		"one bad customer blocks nobody":             testBadCustomers,
		"stripe is away":                             testStripeAway,
		"who would overwrite another is not told of": testShared,
	})
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
	event = billingtest.Correct(t, o.q, event, "1", billingtest.USD(40))
	o.run(schema.RunDone)
	o.has("1", o.hour, 60)
	billingtest.Void(t, o.q, event)
	o.run(schema.RunDone)
	o.has("1", o.hour, 20)
	o.told("1", o.hour, "1:100:accepted 2:120:accepted 3:60:accepted 4:20:accepted")
	o.clock.Advance(time.Hour + 40*time.Minute)
	o.run(schema.RunDone)
	o.has("1", o.hour.Add(2*time.Hour), 1000)
	o.sound()
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
	if _, err := r.Run(t.Context()); schema.KindOf(err) != schema.Unavailable {
		t.Errorf("a pass without a key: %v", err)
	}
	o.told("1", o.hour, "")
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:accepted")
}

// testBadCustomers: one whom Stripe does not know, and one of whom no call is ever
// answered; the others are told, and once the catalog has the right customer, so is the first. With
// the rule of tired customers removed the pass made all twelve calls of the second; with that of
// moves removed the first was never told.
func testBadCustomers(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 4, billingtest.Options{UnknownAtOnce: true})
	wrong := o.organization("1", "cus_wrong")
	billingtest.Catalog(t, o.q, []schema.Organization{wrong}, nil)
	o.useMany(12, 5, "2", "3", "4")
	for i := range 12 {
		o.fail("2", o.back(i), billingtest.Unavailable)
	}
	o.use("1", o.hour, 100)
	run := o.run(schema.RunDone)
	if run.Slots != 37 || run.Sent != 24 || run.Failed != 13 {
		t.Errorf("the pass: %+v", run)
	}
	if n := o.stripe.Counts().Faults; n != 3 {
		t.Errorf("%d calls for the customer who is never answered, want 3", n)
	}
	for i := range 12 {
		o.has("3", o.back(i), 5)
		o.has("4", o.back(i), 5)
	}
	o.told("1", o.hour, "1:100:rejected")

	right := o.organization("1", o.customer("1"))
	billingtest.Catalog(t, o.q, []schema.Organization{right}, nil)
	o.clock.Advance(30 * time.Minute)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:rejected") // it rests for an hour
	o.clock.Advance(40 * time.Minute)
	o.run(schema.RunDone)
	o.told("1", o.hour, "1:100:rejected 2:100:accepted")
	o.has("1", o.hour, 100)
	for range 4 {
		o.clock.Advance(10 * time.Minute)
		run = o.run(schema.RunDone)
	}
	if run.Failed != 0 {
		t.Errorf("the last pass: %+v", run)
	}
	o.sound()
}

// testRefusedKey: nothing is wrong with the slots then, and nothing is noted of them.
// With the check of over() before each call removed all twelve slots were tried.
func testRefusedKey(t *testing.T, b *building, mode schema.ReportMode) {
	for _, status := range []int{401, 403} {
		o := b.office(t, mode, 1, billingtest.Options{})
		o.useMany(12, 100, "1")
		o.stripe.Refuse(apiKey, status)
		run := o.run(schema.RunHalted)
		if run.Sent != 0 || run.Failed != 12 || o.stripe.Counts().Posts != 0 ||
			o.stripe.Counts().Calls != 1 {
			t.Errorf("%d: %+v after %+v", status, run, o.stripe.Counts())
		}
		if !strings.Contains(o.log.text(), "STRIPE_API_KEY") {
			t.Errorf("%d: the log does not say what to do:\n%s", status, o.log.text())
		}
		o.told("1", o.hour, "1:100:not_sent")
		o.stripe.Refuse(apiKey, 0)
		if run := o.run(schema.RunDone); run.Sent != 12 {
			t.Errorf("%d: with a good key again: %+v", status, run)
		}
		o.sound()
	}
}

// testLimits: Stripe asks one for fewer calls, and another waits too; longer
// each time. With the look at earlier passes removed the second reporter called at once.
func testLimits(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	first, second := o.reporter(), o.reporter()
	for i, least := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
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
	o.pass(second, schema.RunDone)
	o.told("1", o.hour, "1:100:accepted")
}

// testStripeAway: ten customers in a row without an answer end the pass, and the next ones wait.
// With listen's end of the pass removed all twenty were called.
func testStripeAway(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 20, billingtest.Options{})
	o.useMany(1, 10, upTo(20)...)
	from := o.clock.Now()
	o.stripe.Outage(from, from.Add(30*time.Second), false)
	run := o.run(schema.RunUnreachable)
	if n := o.stripe.Counts().Calls; n < 10 || n > 17 || !run.NotBefore.After(from) {
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

// testTwoReporters: both have read the same and planned the same number of a batch, and
// the second has seen usage more. The first to write wins, and both send what it wrote. With the
// token of the insert removed there were two intents of a revision.
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
	for round := range 3 {
		o.useMany(round+1, 10, upTo(6)...)
		var all sync.WaitGroup
		for range 3 {
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
		o.has(name, o.hour, 30)
		o.has(name, o.back(1), 20)
		o.has(name, o.back(2), 10)
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

// testCrashes: at every step, in every mode; the next pass of another process goes on,
// and what it did not know that Stripe has, Stripe says. In mode raw, with an outcome of a crash
// recorded as a failure, the hour was told twice.
func testCrashes(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	want := int64(0)
	for i, at := range []string{
		"freeze", "frozen", "send", "sent", "outcomes", "noted", "end",
	} {
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

// testReplayedError: Stripe has saved a 500 under the key, for a day. With the rule of the
// second error removed the slot was told after a day.
func testReplayedError(t *testing.T, b *building, mode schema.ReportMode) {
	o := b.office(t, mode, 1, billingtest.Options{})
	o.use("1", o.hour, 100)
	o.stripe.FailNext("", billingtest.FailedAndSaved)
	for range 3 {
		o.run(schema.RunDone)
		o.clock.Advance(5 * time.Minute)
	}
	o.told("1", o.hour, "1:100:accepted")
	o.has("1", o.hour, 100)
	o.sound()
}

// testShared: two organizations of one customer and meter are not reported. With
// the look for them removed Stripe had 7 of both.
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
