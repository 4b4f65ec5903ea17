package queries_test

import (
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
)

// ledger is what tests of the reports write, about one moment.
type ledger struct {
	t   testing.TB
	db  *schematest.Database
	q   *queries.Queries
	now time.Time

	mode schema.ReportMode // of intents and work lists

	// What is not written yet: every insert waits for the disk.
	usage    []string
	intents  []schema.Intent
	outcomes []schema.Outcome
	periods  []schema.StripePeriod
}

// openLedger returns a ledger of an empty database in the afternoon of the 22nd.
func openLedger(t testing.TB) *ledger {
	t.Helper()
	db, q := open(t)
	return &ledger{
		t: t, db: db, q: q, now: at(t, "2026-11-22T13:30:00Z"), mode: schema.Preaggregated,
	}
}

// hour returns the start of an hour that ended some hours ago: 0 is the one under way.
func (l *ledger) hour(ago int) time.Time {
	return l.now.Truncate(time.Hour).Add(-time.Duration(ago) * time.Hour)
}

func (l *ledger) slot(organization, meter string, ago int) schema.Slot {
	return schema.Slot{Organization: named(organization), Meter: meter, Start: l.hour(ago)}
}

// customer maps an organization to meters: the last takes the rest.
func (l *ledger) customer(organization string, meters ...string) {
	l.t.Helper()
	o := schema.Organization{ID: named(organization), Name: organization}
	last := len(meters) - 1
	o.Stripe.Customer, o.Stripe.Meter = "cus_"+organization, meters[last]
	for _, m := range meters[:last] {
		o.Stripe.Meters = append(o.Stripe.Meters, schema.MeterMapping{Meter: m})
	}
	l.save(schema.Catalog{Organizations: []schema.Organization{o}})
}

func (l *ledger) save(c schema.Catalog) {
	l.t.Helper()
	version, err := l.q.CatalogVersion(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	err = l.q.SaveCatalog(l.t.Context(), schema.CatalogChange{
		Version: version + 1, At: l.now, Actor: "test", Summary: "test", Upsert: c,
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// use records usage in the hour of a slot, whose meter is not looked at: micro-USD of cost, and as
// many units.
func (l *ledger) use(s schema.Slot, usageType string, micros int64) {
	l.usage = append(l.usage, fmt.Sprintf("('%s', '%s', '%s', 'gpt-5', true, '%d', '%s', 1, 1)",
		s.Organization, s.Start.Format(time.DateTime), usageType, micros,
		decimalText(big.NewInt(micros), 6)))
}

// flush writes what was said to be there.
func (l *ledger) flush() {
	l.t.Helper()
	if len(l.usage) > 0 {
		l.db.Exec("INSERT INTO billable_hourly (organization_id, hour, usage_type, model, " +
			"chargeable, quantity, billed_cost, events, measurements) VALUES " +
			strings.Join(l.usage, ", "))
	}
	if len(l.intents) > 0 {
		l.freezeNow(l.intents)
	}
	for _, err := range []error{
		l.q.InsertOutcomes(l.t.Context(), l.outcomes),
		l.q.SavePeriods(l.t.Context(), l.periods),
	} {
		if err != nil {
			l.t.Fatal(err)
		}
	}
	l.usage, l.intents, l.outcomes, l.periods = nil, nil, nil, nil
}

func (l *ledger) intent(s schema.Slot, revision uint32, total int64) schema.Intent {
	return schema.Intent{
		Slot: s, Revision: revision, Mode: l.mode, Total: total, Send: total,
		Identifier: fmt.Sprintf("mh1-%s-r%d", s, revision), Customer: "cus", SubscriptionItem: "si",
		CreatedAt: s.End().Add(10 * time.Minute), Writer: named("writer"),
	}
}

// freeze fixes intents, with the next batch.
func (l *ledger) freeze(intents ...schema.Intent) { l.intents = append(l.intents, intents...) }

func (l *ledger) freezeNow(intents []schema.Intent) {
	l.t.Helper()
	newest, err := l.q.NewestBatch(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	b := queries.IntentBatch{Number: newest + 1, ID: uuid.New(), Intents: intents}
	if err := l.q.FreezeIntents(l.t.Context(), b, time.Minute); err != nil {
		l.t.Fatal(err)
	}
	if won, err := l.q.BatchFrozen(l.t.Context(), b); !won || err != nil {
		l.t.Fatalf("batch %d is not there: %v", b.Number, err)
	}
}

// say writes outcomes of a revision, a second apart, the last of them at a time.
func (l *ledger) say(s schema.Slot, revision uint32, last time.Time, verdicts ...schema.Verdict) {
	for i, v := range verdicts {
		l.outcomes = append(l.outcomes, schema.Outcome{
			Slot: s, Revision: revision, Verdict: v, Writer: named("writer"),
			At: last.Add(-time.Duration(len(verdicts)-1-i) * time.Second), HTTPStatus: 200,
		})
	}
}

// told freezes a revision that Stripe accepted.
func (l *ledger) told(s schema.Slot, revision uint32, total int64) {
	i := l.intent(s, revision, total)
	l.freeze(i)
	l.say(s, revision, i.CreatedAt.Add(time.Second), schema.Accepted)
}

// params are those of a pass: ten minutes' seal, 35 days less six hours.
func (l *ledger) params() queries.OpenSlotsParams {
	return queries.OpenSlotsParams{
		Mode: l.mode, From: l.hour(35*24 - 6), Sealed: l.now.Add(-10 * time.Minute), Now: l.now,
		Limit: 1000,
	}
}

func (l *ledger) open() []queries.OpenSlot {
	l.t.Helper()
	l.flush()
	all, err := l.q.OpenSlots(l.t.Context(), l.params())
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func TestOpenSlotIsWhatWasFrozen(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	l.customer("o1", "usage")
	s := l.slot("o1", "usage", 3)
	l.use(s, schema.Input, 70)
	want := queries.OpenSlot{Slot: s, Own: 70, Sendable: true}
	if diff := cmp.Diff([]queries.OpenSlot{want}, l.open()); diff != "" {
		t.Errorf("before the first revision (-want +got):\n%s", diff)
	}
	first := l.intent(s, 1, 70)
	l.freeze(first)
	want.Latest, want.Customer, want.Item = 1, "cus", "si"
	want.Open = schema.Revision{Intent: first}
	if diff := cmp.Diff([]queries.OpenSlot{want}, l.open()); diff != "" {
		t.Errorf("frozen (-want +got):\n%s", diff)
	}
	last := l.now.Add(-time.Hour)
	l.say(s, 1, last, schema.Unknown, schema.Rotate)
	want.Open.Verdict, want.Open.Attempts, want.Open.Rotations = schema.Rotate, 2, 1
	want.Open.LastAt = last
	if diff := cmp.Diff([]queries.OpenSlot{want}, l.open()); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
	l.say(s, 1, last, schema.Accepted)
	l.use(s, schema.Input, 5)
	want = queries.OpenSlot{
		Slot: s, Own: 75, Latest: 1, Customer: "cus", Item: "si", Told: 70, Sendable: true,
	}
	if diff := cmp.Diff([]queries.OpenSlot{want}, l.open()); diff != "" {
		t.Errorf("late usage (-want +got):\n%s", diff)
	}
	l.told(s, 2, 75)
	if all := l.open(); len(all) > 0 {
		t.Errorf("told: %+v, want nothing", all)
	}
}

func TestRevisionsAndOutcomesComeBack(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	s, other := l.slot("o1", "usage", 3), l.slot("o1", "other", 3)
	one, two := l.intent(s, 1, -70), l.intent(s, 2, 80)
	two.Mode, two.Send = schema.Raw, 150
	l.freeze(one, two, l.intent(other, 1, 5))
	l.say(s, 1, l.now, schema.Retry, schema.Rotate, schema.Accepted, schema.Refused)
	l.flush()
	got, err := l.q.SlotRevisions(t.Context(), s)
	want := []schema.Revision{
		{Intent: one, Verdict: schema.Refused, Attempts: 3, Rotations: 1, LastAt: l.now},
		{Intent: two},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("SlotRevisions: %v (-want +got):\n%s", err, diff)
	}
	for _, r := range want {
		got, ok, err := l.q.RevisionOf(t.Context(), queries.IdentifierParams{
			Organization: s.Organization, Start: s.Start, Identifier: r.Identifier,
		})
		if diff := cmp.Diff(r, got); diff != "" || err != nil || !ok {
			t.Errorf("RevisionOf: %v, %v (-want +got):\n%s", ok, err, diff)
		}
	}
	if _, ok, err := l.q.RevisionOf(t.Context(), queries.IdentifierParams{
		Organization: s.Organization, Start: s.Start, Identifier: "mh1",
	}); ok || err != nil {
		t.Errorf("RevisionOf of nothing: %v, %v", ok, err)
	}
	said := schema.Outcome{
		Slot: s, Revision: 2, Verdict: schema.Rejected, KeyGeneration: 3, At: l.now,
		Writer: named("writer"), HTTPStatus: 400, RequestID: "req_1", Detail: "no\tcustomer",
	}
	if err := l.q.InsertOutcomes(t.Context(), []schema.Outcome{said}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := l.q.SlotOutcomes(t.Context(), s)
	if err != nil || len(outcomes) != 5 {
		t.Fatalf("SlotOutcomes = %d, %v, want 5", len(outcomes), err)
	}
	if diff := cmp.Diff(said, outcomes[4]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunsWebhooksAndPeriodsComeBack(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	ctx := t.Context()
	check := func(name string, want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := schema.ReportRun{
		ID: named("run 1"), Writer: named("writer"), StartedAt: l.now, EndedAt: l.now.Add(time.Second),
		Slots: 3, Sent: 2, Failed: 1, End: schema.RunDone, Detail: "fine",
	}
	next := run
	next.ID, next.End = named("run 2"), schema.RunLimited
	next.EndedAt, next.NotBefore = l.now.Add(time.Minute), l.now.Add(time.Hour)
	must(l.q.InsertReportRun(ctx, next))
	must(l.q.InsertReportRun(ctx, run))
	runs, err := l.q.ReportRuns(ctx, 10)
	check("ReportRuns", []schema.ReportRun{next, run}, runs, err)

	first := schema.Webhook{ID: "evt_1", Type: "a", ReceivedAt: l.now, Body: []byte("{\x00\xff}")}
	second := schema.Webhook{ID: "evt_2", ReceivedAt: l.now.Add(time.Second), Body: []byte{}}
	done := second
	done.Done, done.DoneAt = true, l.now
	for _, w := range []schema.Webhook{second, first, done, second, first} {
		must(l.q.SaveWebhook(ctx, w))
	}
	webhooks, err := l.q.OpenWebhooks(ctx, 10)
	check("OpenWebhooks", []schema.Webhook{first}, webhooks, err)

	draft := schema.StripePeriod{
		Organization: named("o1"), Meter: "usage", Start: l.hour(720), End: l.hour(0),
		Invoice: "in_1", SeenAt: l.now,
	}
	closed := draft
	closed.Finalized, closed.InvoicedUnits = true, -5
	before := draft
	before.Start, before.End = l.hour(1440), l.hour(720)
	must(l.q.SavePeriods(ctx, []schema.StripePeriod{before, draft, closed}))
	must(l.q.SavePeriods(ctx, []schema.StripePeriod{draft}))
	must(l.q.SavePeriods(ctx, nil))
	periods, err := l.q.StripePeriods(ctx, named("o1"))
	check("StripePeriods", []schema.StripePeriod{closed, before}, periods, err)
}

// TestOneHolderHasALease: with tokens that differed three of the sixteen had it, or none.
func TestOneHolderHasALease(t *testing.T) {
	t.Parallel()
	l := openLedger(t)
	for round := range 4 {
		var has atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				ok, err := l.q.TakeLease(t.Context(), fmt.Sprint("pass ", round), uuid.New(), l.now)
				if err != nil {
					t.Error(err)
				}
				if ok {
					has.Add(1)
				}
			})
		}
		all.Wait()
		if has.Load() != 1 {
			t.Errorf("%d have the lease", has.Load())
		}
	}
}
