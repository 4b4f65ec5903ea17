package billing_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

var (
	seedFlag     = flag.Uint64("seed", 1, "first seed of TestChaos; 0: any")
	billingSeeds = flag.Int("billing-seeds", 0,
		"how many seeds TestChaos tries in every scenario; 0: one, in a few of them")
)

// scenario is what an account is like, and what happens to it.
type scenario struct {
	mode      schema.ReportMode
	ingestion billingtest.Ingestion
	closes    bool // periods end, and their invoices become final an hour later
	outage    bool // for 30 hours Stripe does what it is asked, and answers nothing
}

func (s scenario) String() string {
	name := s.mode.String()
	if s.mode == schema.Preaggregated {
		name += map[billingtest.Ingestion]string{
			billingtest.ByArrival: "-arrival", billingtest.ByTimestamp: "-timestamp",
		}[s.ingestion]
	}
	if s.closes {
		name += "-closes"
	}
	if s.outage {
		name += "-outage"
	}
	return name
}

// few are the scenarios of a usual test run; all of them are every mode with and without periods
// that end, with and without an outage.
var few = []scenario{
	{schema.Preaggregated, billingtest.ByArrival, true, false},
	{schema.Preaggregated, billingtest.ByTimestamp, false, false},
	{schema.Raw, billingtest.AddsUp, false, true},
	{schema.UsageRecord, billingtest.AddsUp, true, false},
}

func every() (all []scenario) {
	for _, s := range few {
		for _, closes := range []bool{false, true} {
			for _, outage := range []bool{false, true} {
				all = append(all, scenario{s.mode, s.ingestion, closes, outage})
			}
		}
	}
	return all
}

// TestChaos has three reporters tell a Stripe that misbehaves in two of five calls of usage that
// goes on, comes late and is corrected, crash at every step, stop for a day between two of them,
// and work at the same time. When that ends, Stripe has to hold what is billable, slot by slot, and
// what it invoiced and holds has to be the sum. docs/billing-chaos.md has what it is worth.
func TestChaos(t *testing.T) {
	t.Parallel()
	scenarios := few
	if *billingSeeds > 0 {
		scenarios = every()
	}
	first := *seedFlag
	if first == 0 {
		first = 1 + uint64(time.Now().UnixNano())%1_000_000
	}
	for seed := first; seed < first+uint64(max(1, *billingSeeds)); seed++ {
		for _, s := range scenarios {
			t.Run(fmt.Sprintf("%s/%d", s, seed), func(t *testing.T) {
				t.Parallel()
				newChaos(t, s, seed).run()
			})
		}
	}
}

var errCrash = errors.New("crash")

// chaos is one run.
type chaos struct {
	t      *testing.T
	s      scenario
	seed   uint64
	rng    *rand.Rand // of the test's own goroutine
	db     *schematest.Database
	q      *queries.Queries
	clock  *billingtest.Clock
	stripe *billingtest.Stripe
	began  time.Time // of the clock, and of the usage
	back   time.Time // Stripe, after an outage

	reporters [3]*billing.Reporter
	used      []schema.Event // the newest revisions of what may be corrected
	since     time.Time      // until when usage has arrived
	posted    []billingtest.Notice
	passes    int
	most      int // events of an organization in a round, less one

	mu      sync.Mutex // of what follows
	calm    bool       // nothing goes wrong any more
	alone   bool       // one reporter is at work
	hooks   *rand.Rand
	crashes map[string]int
	freezes int
	frozen  bool // a reporter is, now
}

// freezes is the reporter that stops at times while the others go on. It makes one call at a time:
// a call that is under way when the clock jumps would reach Stripe a day after it was made.
const freezes = 0

// The organizations. The meters of the first two share its usage; Stripe does not know the customer
// of the last before firstKnown.
var (
	chaosOrganizations = []string{"alpha", "beta", "gamma", "ghost"}
	firstKnown         = 9 * time.Hour
)

const (
	rest    = "usage_micro_usd"
	tokens  = "usage_tokens"
	premium = "premium"
)

func newChaos(t *testing.T, s scenario, seed uint64) *chaos {
	c := &chaos{
		t: t, s: s, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)),
		hooks: rand.New(rand.NewPCG(seed, 2)), crashes: map[string]int{},
		began: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
	}
	c.db, c.q = billingtest.Open(t)
	c.clock = billingtest.NewClock(c.began)
	c.since = c.began
	o := billingtest.Options{Seed: seed, Samples: 1000, HangFor: time.Millisecond,
		Latency: 200 * time.Microsecond, SummaryLag: time.Minute}
	for _, name := range []string{rest, tokens, premium} {
		o.Meters = append(o.Meters, billingtest.Meter{Name: name, Ingestion: s.ingestion})
	}
	o.PeriodStart = c.began
	if s.closes {
		o.PeriodLength = 24 * time.Hour
	}
	for _, organization := range c.catalog() {
		if organization.Name != "ghost" {
			o.Items = append(o.Items, c.items(organization)...)
		}
	}
	c.stripe = billingtest.New(t, c.clock, o)
	c.stripe.SetFaults(billingtest.Faults(400))
	if s.outage {
		from := c.began.Add(time.Duration(3+c.rng.IntN(6)) * time.Hour)
		c.back = from.Add(30 * time.Hour)
		c.stripe.Outage(from, c.back, true)
	}
	for i := range c.reporters {
		c.reporters[i] = c.reporter(i)
	}
	return c
}

// catalog saves who reports to which meters, and returns them.
func (c *chaos) catalog() []schema.Organization {
	var all []schema.Organization
	for _, name := range chaosOrganizations {
		o := schema.Organization{ID: billingtest.Organization(name), Name: name, Tenant: name}
		o.Stripe = schema.StripeMapping{
			Customer: "cus_" + name, Meter: rest, SubscriptionItem: "si_" + name + "_" + rest,
		}
		for meter, of := range map[string]string{tokens: "alpha", premium: "beta"} {
			if of == name {
				o.Stripe.Meters = append(o.Stripe.Meters, schema.MeterMapping{
					Meter: meter, SubscriptionItem: "si_" + name + "_" + meter,
				})
			}
		}
		all = append(all, o)
	}
	billingtest.Catalog(c.t, c.q, all, []schema.Meter{
		{Name: tokens, Unit: schema.WholeUnits, UsageTypes: []string{"INPUT"}},
		{Name: premium, Models: []string{"opus*"}},
	})
	return all
}

// items returns an organization's subscription items at Stripe.
func (c *chaos) items(o schema.Organization) (all []billingtest.Item) {
	for _, m := range append(o.Stripe.Meters, schema.MeterMapping{
		Meter: o.Stripe.Meter, SubscriptionItem: o.Stripe.SubscriptionItem,
	}) {
		i := billingtest.Item{ID: m.SubscriptionItem, Customer: o.Stripe.Customer, Meter: m.Meter}
		if c.s.mode == schema.UsageRecord {
			i.Meter = ""
		}
		all = append(all, i)
	}
	return all
}

// reporter returns a new instance. Each has an API key of its own: Stripe sees by it whose two calls
// at a time are.
func (c *chaos) reporter(number int) *billing.Reporter {
	client, err := billing.NewClient(billing.ClientConfig{
		Key: fmt.Sprintf("sk_test_%d", number), WebhookSecret: billingtest.Secret,
		Base: c.stripe.URL, Now: c.clock.Now,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	workers := 4
	if number == freezes {
		workers = 1
	}
	r, err := billing.New(billing.Config{
		Queries: c.q, Stripe: client, Mode: c.s.mode, Writer: uuid.New(), Now: c.clock.Now,
		Logger: slog.New(slog.DiscardHandler), CarryEvery: 2 * time.Hour, Rate: 100_000,
		Workers: workers,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	r.CrashAt(func(step string) error { return c.step(number, step) })
	return r
}

// step is asked at every step of every pass: it may end the pass, or hold it for a day in which
// another reporter goes on.
func (c *chaos) step(number int, step string) error {
	c.mu.Lock()
	crash, freeze := false, false
	if !c.calm {
		odds := 50 // of a thousand
		if step == "send" || step == "sent" {
			odds = 10 // there are so many of them
		}
		crash = c.hooks.IntN(1000) < odds
		freeze = !crash && c.alone && number == freezes && !c.frozen && c.freezes < 3 &&
			(step == "send" || step == "freeze") && c.hooks.IntN(100) < 6
	}
	if crash {
		c.crashes[step]++
	}
	if freeze {
		c.freezes++
		c.frozen = true
	}
	c.mu.Unlock()
	if crash {
		return errCrash
	}
	if freeze {
		c.clock.Advance(25 * time.Hour)
		c.pass((number + 1) % len(c.reporters))
		c.mu.Lock()
		c.frozen = false
		c.mu.Unlock()
	}
	return nil
}

// pass has a reporter make a pass. One that crashed is replaced.
func (c *chaos) pass(number int) {
	run, err := c.reporters[number].Run(c.t.Context())
	switch {
	case errors.Is(err, errCrash):
		c.reporters[number] = c.reporter(number)
	case err != nil:
		c.t.Errorf("pass: %v", err)
	case run.End == schema.RunHalted || run.End == schema.RunFailed:
		c.t.Errorf("the pass ended %v: %s", run.End, run.Detail)
	}
}

// run makes the run.
func (c *chaos) run() {
	began := time.Now()
	// A usual test run has few rounds, each of more hours and more usage.
	rounds, least := 6, 120
	c.most = 10
	if *billingSeeds > 0 {
		rounds, least, c.most = 30, 30, 4
	}
	ghost := false
	for ; rounds > 0 && !c.t.Failed(); rounds-- {
		c.clock.Advance(time.Duration(least+c.rng.IntN(2*least)) * time.Minute)
		if !ghost && c.clock.Now().Sub(c.began) > firstKnown {
			ghost = true
			c.known()
		}
		c.round()
	}
	if !ghost {
		c.known()
	}
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	c.stripe.SetFaults(nil)
	c.clock.Set(c.back)
	wrong := c.settle()
	n := c.stripe.Counts()
	c.t.Logf("%d events, %d passes, %d slots, %d calls, %d faults, crashes %v, %d freezes, %v",
		len(c.used), c.passes, c.slots(), n.Calls, n.Faults, c.crashes, c.freezes,
		time.Since(began).Round(100*time.Millisecond))
	for _, w := range wrong {
		c.t.Error(w)
	}
	if c.t.Failed() {
		c.t.Logf("repeat with: make chaos-billing SEED=%d SEEDS=1 SCENARIO=%s", c.seed, c.s)
	}
}

// known has Stripe know the last customer.
func (c *chaos) known() {
	if c.s.mode == schema.UsageRecord {
		c.stripe.AddItem(billingtest.Item{ID: "si_ghost_" + rest, Customer: "cus_ghost"})
		return
	}
	c.stripe.AddCustomer("cus_ghost")
}

// round is usage, what Stripe has to say, and passes: of one reporter or of all at once, the usage
// coming before or meanwhile.
func (c *chaos) round() {
	events := c.usage()
	together := c.rng.IntN(4) == 0
	var working sync.WaitGroup
	store := func() {
		if err := billingtest.Store(c.t.Context(), c.q, events...); err != nil {
			c.t.Errorf("usage: %v", err)
		}
	}
	if together {
		working.Go(store)
	} else {
		store()
	}
	c.notify()
	c.mu.Lock()
	c.alone = !together
	c.mu.Unlock()
	number := c.rng.IntN(len(c.reporters))
	for i := range c.reporters {
		if together || i == number {
			c.passes++
			working.Go(func() { c.pass(i) })
		}
	}
	working.Wait()
	for _, e := range events {
		if e.Entry == schema.Record {
			c.used = append(c.used, e)
		}
	}
}

// usage returns what is used since the last time, some of it of an hour long past, and corrections.
func (c *chaos) usage() (all []schema.Event) {
	now := c.clock.Now()
	within := func(from time.Time) time.Time {
		return from.Add(time.Duration(c.rng.Int64N(int64(now.Sub(from))))).
			Truncate(time.Microsecond)
	}
	for _, name := range chaosOrganizations {
		for range c.rng.IntN(c.most) {
			from := c.since
			if c.rng.IntN(4) == 0 {
				from = c.began
			}
			all = append(all, billingtest.Events(c.t, billingtest.Use{
				Organization: billingtest.Organization(name), At: within(from),
				Type:     []string{"INPUT", "OUTPUT"}[c.rng.IntN(2)],
				Model:    []string{"opus-4", "haiku"}[c.rng.IntN(2)],
				Quantity: fmt.Sprintf("%d.%d", c.rng.IntN(5000), c.rng.IntN(10)),
				Billed:   fmt.Sprintf("%d.%09d", c.rng.IntN(3), c.rng.IntN(1_000_000_000)),
			})...)
		}
	}
	for range min(len(c.used), c.rng.IntN(3)) {
		i := c.rng.IntN(len(c.used))
		e := c.used[i]
		c.used[i] = c.used[len(c.used)-1]
		c.used = c.used[:len(c.used)-1]
		if c.rng.IntN(3) == 0 {
			all = append(all, billingtest.Reversal(e))
			continue
		}
		all = append(all, billingtest.Revise(c.t, e, fmt.Sprint(c.rng.IntN(5000)),
			fmt.Sprintf("0.%09d", c.rng.IntN(1_000_000_000)))...)
	}
	c.since = now
	return all
}

// notify posts what Stripe has to say to any reporter, in any order, some of it twice, some later.
func (c *chaos) notify() {
	c.posted = append(c.posted, c.stripe.Notices()...)
	c.rng.Shuffle(len(c.posted), func(i, j int) {
		c.posted[i], c.posted[j] = c.posted[j], c.posted[i]
	})
	var later []billingtest.Notice
	for _, n := range c.posted {
		if !c.calm && c.rng.IntN(3) == 0 {
			later = append(later, n)
			continue
		}
		signature := billingtest.Sign(n.Body, billingtest.Secret, c.clock.Now())
		for range cmp.Or(c.rng.IntN(3), 1) {
			r := c.reporters[c.rng.IntN(len(c.reporters))]
			if err := r.Notify(c.t.Context(), n.Body, signature); err != nil {
				c.t.Errorf("notice %s: %v", n.Type, err)
			}
		}
	}
	c.posted = later
}
