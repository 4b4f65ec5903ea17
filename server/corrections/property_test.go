package corrections_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

var (
	seedFlag = flag.Uint64("seed", 0, "repeat the property test; 0: another each time")
	opsFlag  = flag.Int("ops", 300, "operations of the property test")
)

// TestLedgerIsTheModel records, amends and voids at random from two nodes, some of whose answers
// are lost and some of whose corrections end before they are made, and compares the ledger with a
// model in memory and every rollup with the ledger.
func TestLedgerIsTheModel(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -seed=%d", seed)
	w := newWorld(t)
	m := &model{t: t, w: w, nodes: []*node{w.node(), w.node()}}
	for _, n := range m.nodes {
		n.Start()
	}
	const rounds, workers = 3, 4
	for round := range rounds {
		var group sync.WaitGroup
		for worker := range workers {
			r := rand.New(rand.NewPCG(seed, uint64(round*workers+worker)))
			group.Go(func() {
				for range *opsFlag / rounds / workers {
					m.step(r)
				}
			})
		}
		group.Wait()
		m.check(rand.New(rand.NewPCG(seed, uint64(1000+round))))
	}
	t.Logf("%d events, %d corrections, %d of them without an answer, %d answers lost",
		len(m.facts), m.made, m.unknown, m.nodes[0].faults.count()+m.nodes[1].faults.count())
}

// model is what the ledger should say.
type model struct {
	t     *testing.T
	w     *world
	nodes []*node

	mu            sync.Mutex
	facts         []*fact
	made, unknown int
}

// fact is one event. Its lock is held while it is corrected.
type fact struct {
	mu    sync.Mutex
	event *schema.Event   // nil: voided
	maybe []*schema.Event // what corrections made of it whose answer never came
	last  schema.Event    // as it was before it was voided
}

func (m *model) step(r *rand.Rand) {
	m.mu.Lock()
	var f *fact
	if len(m.facts) > 0 && r.IntN(4) > 0 {
		f = m.facts[r.IntN(len(m.facts))]
	}
	m.mu.Unlock()
	n := m.nodes[r.IntN(len(m.nodes))]
	if f == nil {
		m.create(r, n)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx := m.t.Context()
	switch r.IntN(6) {
	case 0:
		n.faults.loseAnswer([]string{"corrections", "usage_events", "corrections_applied"}[r.IntN(3)])
	case 1:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(100))*time.Millisecond)
		defer cancel()
	}
	m.correct(ctx, r, n, f)
}

func (m *model) create(r *rand.Rand, n *node) {
	id := uuid.Must(uuid.NewV7())
	e := schema.Event{
		Organization: []uuid.UUID{acme, globex}[r.IntN(2)], ID: id, Entry: schema.Record,
		Time: eventTime.Add(-time.Duration(r.IntN(100*24)) * time.Hour),
	}
	m.vary(r, &e)
	kept := priced(e)
	n.record(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.facts = append(m.facts, &fact{event: &kept, last: kept})
}

// vary gives an event other contents, the costs of which are left to the rates or given.
func (m *model) vary(r *rand.Rand, e *schema.Event) {
	pick := func(names ...string) string { return names[r.IntN(len(names))] }
	e.Model, e.Service, e.Purpose = pick("known", "unknown", ""), pick("", "s"), pick("QA", "DT")
	e.Agent, e.User = named(pick("agent 1", "agent 2")), named(pick("ada", "ben"))
	e.Chargeable = r.IntN(4) > 0
	e.Measurements = nil
	for _, usageType := range []string{schema.Units, schema.Input, schema.Output} {
		if r.IntN(2) == 0 && (usageType != schema.Output || len(e.Measurements) > 0) {
			continue
		}
		measurement := schema.Measurement{
			UsageType: usageType, Quantity: schema.WholeQuantity(r.Int64N(1_000_000)),
		}
		if r.IntN(3) == 0 {
			measurement.Pricing = schema.Given
			measurement.ProviderCost = schema.USDOf(schema.Int128{Lo: r.Uint64N(1 << 60)})
			measurement.BilledCost = schema.USDOf(schema.Int128{Lo: r.Uint64N(1 << 60)})
		}
		e.Measurements = append(e.Measurements, measurement)
	}
}

// priced returns an event with the costs that the one rate there is makes of it.
func priced(e schema.Event) schema.Event {
	e.Measurements = slices.Clone(e.Measurements)
	for i := range e.Measurements {
		m := &e.Measurements[i]
		if m.Pricing == schema.Unpriced && e.Model == "known" && m.UsageType != schema.Units {
			m.Pricing = schema.Rated
			m.ProviderCost, _ = schema.Cost(m.Quantity, usd("2"))
			m.BilledCost, _ = schema.Cost(m.Quantity, usd("3"))
		}
		if !e.Chargeable {
			m.BilledCost = schema.USD{}
		}
	}
	return e
}

// correct amends or voids an event, and takes what it was from what the ledger shows Change: it has
// to be what the model has, or what a correction without an answer made.
func (m *model) correct(ctx context.Context, r *rand.Rand, n *node, f *fact) {
	var next *schema.Event
	if r.IntN(4) > 0 {
		e := f.last
		m.vary(r, &e)
		next = &e
	}
	_, err := n.Correct(ctx, dialect.CorrectParams{
		Organization: f.last.Organization, Event: f.last.ID, Actor: "model",
		Change: func(current schema.Event) (*schema.Event, error) {
			f.expect(m.t, &current)
			if next == nil {
				return nil, nil
			}
			e := *next
			e.Measurements = slices.Clone(next.Measurements)
			return &e, nil
		},
	})
	var after *schema.Event
	if next != nil {
		e := priced(*next)
		after = &e
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var known *schema.Error
	switch {
	case err == nil:
		m.made++
		f.event, f.maybe = after, nil
		if after != nil {
			f.last = *after
		}
	case errors.As(err, &known) && known.Kind == schema.NotFound:
		f.expect(m.t, nil)
		f.event, f.maybe = nil, nil
	case errors.As(err, &known) && known.Kind == schema.Unavailable:
		m.unknown++
		f.maybe = append(f.maybe, after)
	default:
		m.t.Errorf("event %s: %v", f.last.ID, err)
	}
}

// expect fails the test when the ledger shows of an event what nobody made it.
func (f *fact) expect(t *testing.T, current *schema.Event) {
	for _, e := range append([]*schema.Event{f.event}, f.maybe...) {
		if contents(e) == contents(current) {
			return
		}
	}
	t.Errorf("event %s is\n%s, want\n%s or one of %d more", f.last.ID, contents(current),
		contents(f.event), len(f.maybe))
}

// contents is what counts of an event, as text.
func contents(e *schema.Event) string {
	if e == nil {
		return "voided"
	}
	text := fmt.Sprint(e.Model, e.Service, e.Purpose, e.Agent, e.User, e.Chargeable)
	for _, m := range e.Measurements {
		text += fmt.Sprint(" ", m.UsageType, m.Quantity, " ", m.ProviderCost, " ", m.BilledCost,
			" ", m.Pricing)
	}
	return text
}

// check settles what is not known and compares.
func (m *model) check(r *rand.Rand) {
	m.t.Helper()
	for _, n := range m.nodes {
		n.faults.loseAnswer("")
	}
	for _, f := range m.facts {
		for len(f.maybe) > 0 { // a correction after it leaves no doubt
			m.correct(m.t.Context(), r, m.nodes[r.IntN(2)], f)
		}
	}
	m.w.eventually("every correction to be applied", func() bool { return !m.w.open() })
	var want []string
	for _, f := range m.facts {
		if f.event == nil {
			continue
		}
		for _, measured := range f.event.Measurements {
			want = append(want, fmt.Sprint(f.last.ID, " ", f.event.Agent, " ", f.event.User, " ",
				f.event.Model, "|", f.event.Service, "|", f.event.Purpose, " ", measured.UsageType, " 1 ",
				measured.Quantity, " ", measured.ProviderCost, " ", measured.BilledCost))
		}
	}
	sort.Strings(want)
	got := m.w.db.Strings(`SELECT toString(event_id), toString(agent_id), toString(user_id),
		concat(model, '|', service, '|', purpose), toString(usage_type), toString(sum(toInt64(entry))),
		toString(sum(quantity)), toString(sum(provider_cost)), toString(sum(billed_cost))
		FROM usage_events GROUP BY event_id, agent_id, user_id, model, service, purpose, usage_type
		HAVING sum(toInt64(entry)) != 0 OR sum(quantity) != 0 OR sum(provider_cost) != 0
			OR sum(billed_cost) != 0`)
	sort.Strings(got)
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("the ledger is not the model (-model +ledger):\n%s", diff)
	}
	m.w.sameKeys(m.t)
	m.w.verify(m.nodes[0])
}

// sameKeys compares rollups with the ledger by all that they keep apart.
func (w *world) sameKeys(t *testing.T) {
	t.Helper()
	const sums = `, toString(sum(quantity)) AS q, toString(sum(provider_cost)) AS p,
		toString(sum(billed_cost)) AS b FROM `
	for _, c := range []struct{ table, rollup, ledger string }{
		{"agent_usage_15m", "agent_id, slot, usage_type, service, model, chargeable",
			"agent_id, toStartOfFifteenMinutes(event_time), usage_type, service, model, chargeable"},
		{"consumption_monthly", "agent_id, month, user_id, usage_type, dimension_id",
			"agent_id, toStartOfMonth(event_time), user_id, usage_type, dimension_id"},
	} {
		ask := func(keys, table string) []string {
			rows := w.db.Strings("SELECT toString(tuple(organization_id, " + keys + "))" + sums + table +
				" GROUP BY organization_id, " + keys + " HAVING q != '0' OR p != '0' OR b != '0'")
			sort.Strings(rows)
			return rows
		}
		if diff := cmp.Diff(ask(c.ledger, "usage_events"), ask(c.rollup, c.table)); diff != "" {
			t.Errorf("%s (-ledger +rollup):\n%s", c.table, diff)
		}
	}
}
