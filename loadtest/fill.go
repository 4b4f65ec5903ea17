package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed fill.sql
var fillSQL string

const (
	fillEventsMax = 2_000_000_000
	fillRowsMax   = 8 << 20 // of a slice's block, which nothing may split
	fillAtOnceMax = 8
	// So many slices before the last event that is there are inserted again, under their tokens: what
	// a killed fill left half done is completed, whichever of its inserts it was, and nothing counts
	// twice.
	fillAgain = 2 * fillAtOnceMax
)

// A fillConfig is what the flags of "loadtest fill" say.
type fillConfig struct {
	events, batch, connections           int
	agents, users, models, organizations int
	days                                 int
	until                                time.Time
	seed                                 uint64
	catalog                              string
	engine                               engineFlags
	allowRemote                          bool
}

const fillSynopsis = `fill [flags]

Writes usage straight into the ledger's tables, as fast as the engine makes it: so many events in so
many days up to --until, of organizations of which the first has more than half. Agents, people and
models are used by Zipf, by day more than by night and at weekends less; texts are as long as those
of the Azure LLM inference trace 2023 (CC-BY 4.0). Mostly two measurements an event; the second
organization's are mostly records of the usage tracker. The same flags make the same events. A fill
that was stopped goes on where it was, and one that is complete says so.
--catalog writes a file for "meterhouse catalog apply", with which the events can be read.`

func (c *fillConfig) register(set *flag.FlagSet) {
	c.engine.register(set)
	set.StringVar(&c.engine.url, "clickhouse", "", "as --engine-url")
	set.BoolVar(&c.allowRemote, "allow-remote", false, "let the engine be on a host not loopback")
	c.events = 1_000_000
	set.Func("events", "how many, like 250k or 100M (default 1M)", countInto(&c.events))
	set.IntVar(&c.batch, "batch", 500_000, "events of one insert, at most")
	set.IntVar(&c.connections, "connections", 2, "inserts at a time")
	set.IntVar(&c.organizations, "organizations", 20, "how many")
	set.IntVar(&c.agents, "agents", 2_000, "of all organizations")
	set.IntVar(&c.users, "users", 20_000, "of all organizations")
	set.IntVar(&c.models, "models", 10, "how many")
	set.IntVar(&c.days, "days", 365, "whole days")
	set.Func("until", "the `day` after the last, yyyy-mm-dd (default: today, UTC)",
		func(s string) (err error) {
			c.until, err = time.Parse(time.DateOnly, s)
			return err
		})
	set.Uint64Var(&c.seed, "seed", 1, "another one makes other events and ids")
	set.StringVar(&c.catalog, "catalog", "", "write the catalog of the events to this `file`")
}

// countInto reads a count that may end with k or M.
func countInto(into *int) func(string) error {
	return func(s string) error {
		factor := 1
		if text, ok := strings.CutSuffix(s, "M"); ok {
			s, factor = text, 1_000_000
		} else if text, ok := strings.CutSuffix(s, "k"); ok {
			s, factor = text, 1_000
		}
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("want a count like 20000, 250k or 100M")
		}
		*into = int(n) * factor
		return nil
	}
}

func (c *fillConfig) validate() error {
	for _, bound := range []struct {
		name            string
		value, min, max int
	}{
		{"events", c.events, 1, fillEventsMax},
		{"batch", c.batch, 1, 2_000_000},
		{"connections", c.connections, 1, fillAtOnceMax},
		{"organizations", c.organizations, 1, 250},
		{"agents", c.agents, c.organizations, 1_000_000},
		{"users", c.users, c.organizations, 10_000_000},
		{"models", c.models, 3, 200},
		{"days", c.days, 1, 400},
	} {
		if bound.value < bound.min || bound.value > bound.max {
			return usagef("--%s: want %d to %d", bound.name, bound.min, bound.max)
		}
	}
	return nil
}

func runFill(ctx context.Context, con console, args []string) error {
	c := &fillConfig{}
	set := newFlags(con, "fill", fillSynopsis)
	c.register(set)
	if err := parse(set, args); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	e, err := c.engine.resolve(con, c.allowRemote)
	if err != nil {
		return err
	}
	if e == nil {
		return usagef("--clickhouse or --engine-endpoint is needed: events go to its tables")
	}
	if err := e.findDatabase(ctx); err != nil {
		return err
	}
	f := &filler{config: c, con: con, engine: e}
	return f.all(ctx)
}

// A filler fills the ledger.
type filler struct {
	config *fillConfig
	con    console
	engine *engine
	plan   *fillPlan
}

func (f *filler) all(ctx context.Context) error {
	there, err := f.there(ctx)
	if err != nil {
		return err
	}
	f.plan = newFillPlan(f.config)
	if f.config.catalog != "" {
		if err := os.WriteFile(f.config.catalog, f.plan.catalog(), 0o600); err != nil {
			return fmt.Errorf("catalog: %w", err)
		}
	}
	if there > 0 {
		fmt.Fprintf(f.con.errs, "%s events are there already\n", thousands(there))
	}
	began := time.Now()
	written, err := f.insert(ctx, there)
	if err != nil {
		return err
	}
	return f.report(ctx, written, time.Since(began))
}

// there returns up to which event the ledger has this fill, and takes over its days.
func (f *filler) there(ctx context.Context) (int64, error) {
	c := f.config
	mine := " FROM " + ledgerTable + " WHERE node = '" + c.node() + "'"
	last, err := f.engine.number(ctx, f.engine.database, "SELECT max(sequence)"+mine)
	if err != nil {
		return 0, err
	}
	if last > 0 {
		day, err := f.engine.number(ctx, f.engine.database,
			"SELECT toUInt32(toDate(min(event_time), 'UTC'))"+mine)
		if err != nil {
			return 0, err
		}
		first := time.Unix(day*86400, 0).UTC()
		until := first.AddDate(0, 0, c.days)
		if !c.until.IsZero() && !c.until.Equal(until) {
			return 0, usagef("--until: this fill is there up to %s; another --seed makes another",
				until.Format(time.DateOnly))
		}
		c.until = until
	}
	if c.until.IsZero() {
		c.until = time.Now().UTC().Truncate(24 * time.Hour)
	}
	return last, nil
}

// insert inserts the slices that are not there and returns how many events they have.
func (f *filler) insert(ctx context.Context, there int64) (int64, error) {
	slices := f.plan.slices()
	next := 0
	for next < len(slices) && int64(slices[next].first+slices[next].events) <= there {
		next++
	}
	if there < int64(f.config.events) || next < len(slices) {
		next = max(next-fillAgain, 0)
	}
	slices = slices[next:]
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var taken, done atomic.Int64
	m := meter{at: time.Now()}
	shown := startProgress(f.con.errs, f.con.terminal, progressEvery(f.con.terminal),
		func() string { return f.progress(&m, done.Load(), slices) })
	var group sync.WaitGroup
	for range f.config.connections {
		group.Go(func() {
			for i := taken.Add(1) - 1; i < int64(len(slices)) && ctx.Err() == nil; i = taken.Add(1) - 1 {
				if err := f.insertSlice(ctx, slices[i]); err != nil {
					fail(fmt.Errorf("events %d to %d: %w", slices[i].first+1,
						slices[i].first+slices[i].events, err))
					return
				}
				done.Add(int64(slices[i].events))
			}
		})
	}
	group.Wait()
	shown.stop()
	return done.Load(), context.Cause(ctx)
}

func (f *filler) progress(m *meter, done int64, slices []fillSlice) string {
	perSecond := m.update(time.Now(), done)
	before := int64(0)
	if len(slices) > 0 {
		before = int64(slices[0].first)
	}
	left := "?"
	if perSecond > 0 {
		seconds := float64(int64(f.config.events)-before-done) / perSecond
		left = time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s of %s events (%d %%), %s events/s, %s left", thousands(before+done),
		thousands(int64(f.config.events)), (before+done)*100/int64(f.config.events),
		rate(perSecond), left)
}

// insertSlice inserts a slice as one block under a token of its own, in the ledger and behind
// every view, as a node inserts its batches.
func (f *filler) insertSlice(ctx context.Context, s fillSlice) error {
	values := f.plan.parameters()
	rows := strconv.Itoa(fillRowsMax)
	for name, value := range map[string]string{
		"database":                   f.engine.database,
		"param_first":                strconv.Itoa(s.first),
		"param_events":               strconv.Itoa(s.events),
		"param_times":                listOf(s.moments),
		"insert_deduplication_token": fmt.Sprintf("fill-%s-%d", f.plan.node, s.first),

		"async_insert":              "0",
		"insert_deduplicate":        "1",
		"deduplicate_insert":        "enable",
		"deduplicate_insert_select": "enable_even_for_bad_queries",
		"deduplicate_blocks_in_dependent_materialized_views": "1",

		"max_block_size":                                     rows,
		"max_insert_block_size":                              rows,
		"max_insert_block_size_bytes":                        "0",
		"min_insert_block_size_rows":                         rows,
		"min_insert_block_size_bytes":                        "0",
		"min_insert_block_size_rows_for_materialized_views":  rows,
		"min_insert_block_size_bytes_for_materialized_views": "0",
		"max_threads":                                        "1",
		"max_insert_threads":                                 "1",
		"parallel_view_processing":                           "0",
		"optimize_on_insert":                                 "0",
		"max_partitions_per_insert_block":                    "1000",
	} {
		values.Set(name, value)
	}
	_, err := f.engine.post(ctx, values, []byte(fillSQL))
	return err
}

// parameters returns what is the same for every slice.
func (p *fillPlan) parameters() url.Values {
	var organizationOf, agentsFirst, users, usersFirst, modelOf []int
	var agentsLog2 []string
	for i, o := range p.organizations {
		for range o.share {
			organizationOf = append(organizationOf, i)
		}
		agentsFirst = append(agentsFirst, o.agents.first)
		agentsLog2 = append(agentsLog2,
			strconv.FormatFloat(math.Log2(float64(o.agents.count+1)), 'g', 17, 64))
		users, usersFirst = append(users, o.users.count), append(usersFirst, o.users.first)
	}
	for i := range p.models[1:] {
		for range max(300/(i+1), 1) {
			modelOf = append(modelOf, i+1)
		}
	}
	var names, providers, endpoints []string
	var prices, billed []int
	for _, m := range p.models {
		names, providers = append(names, m.name), append(providers, m.provider)
		endpoints = append(endpoints, m.endpoint)
		for _, price := range m.prices {
			prices, billed = append(prices, price), append(billed, price*13/10)
		}
	}
	tracker := 1
	if len(p.organizations) == 1 {
		tracker = math.MaxUint8 // no organization's number
	}
	return url.Values{
		"param_seed":               {strconv.FormatUint(p.config.seed, 10)},
		"param_node":               {p.node},
		"param_tracker":            {strconv.Itoa(tracker)},
		"param_spoken_model":       {strconv.Itoa(spokenModel)},
		"param_organization_of":    {listOf(organizationOf)},
		"param_agents_first":       {listOf(agentsFirst)},
		"param_agents_log2":        {"[" + strings.Join(agentsLog2, ",") + "]"},
		"param_users":              {listOf(users)},
		"param_users_first":        {listOf(usersFirst)},
		"param_model_of":           {listOf(modelOf)},
		"param_models":             {namesOf(names)},
		"param_providers":          {namesOf(providers)},
		"param_provider_endpoints": {namesOf(endpoints)},
		"param_prices":             {listOf(prices)},
		"param_billed_prices":      {listOf(billed)},
		"param_inputs":             {listOf(append(append([]int{}, chatInputs...), codeInputs...))},
		"param_outputs":            {listOf(append(append([]int{}, chatOutputs...), codeOutputs...))},
	}
}

// listOf writes integers as ClickHouse reads an array of them.
func listOf[N int | int64](values []N) string {
	text := []byte{'['}
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(v), 10)
	}
	return string(append(text, ']'))
}

func namesOf(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "'" + quoteText(name) + "'"
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// report counts what the ledger has of the fill, and says how it went.
func (f *filler) report(ctx context.Context, written int64, took time.Duration) error {
	mine := " FROM " + ledgerTable + " WHERE node = '" + f.plan.node + "'"
	events, err := f.engine.number(ctx, f.engine.database,
		"SELECT countIf(ordinal = 0)"+mine)
	if err != nil {
		return err
	}
	rows, err := f.engine.number(ctx, f.engine.database, "SELECT count()"+mine)
	if err != nil {
		return err
	}
	disk, err := f.engine.number(ctx, "system", "SELECT sum(bytes_on_disk) FROM system.parts "+
		"WHERE active AND database = '"+quoteText(f.engine.database)+"'")
	if err != nil {
		return err
	}
	if events != int64(f.config.events) {
		return fmt.Errorf("the ledger has %d events of this fill, want %d", events, f.config.events)
	}
	fmt.Fprintf(f.con.out, "%s events, %s measurements, from %s to before %s; the database takes "+
		"%d MB\norganization with most: %s\n", thousands(events), thousands(rows),
		f.plan.from.Format(time.DateOnly), f.plan.to.Format(time.DateOnly), disk>>20,
		f.config.fillID(fillOrganizationKind, 0))
	if written == 0 {
		fmt.Fprintln(f.con.out, "all of it was there already")
		return nil
	}
	fmt.Fprintf(f.con.out, "%s events written in %s: %s events/s, %s rows/s\n", thousands(written),
		took.Round(time.Millisecond), perSecond(written, took),
		perSecond(written*rows/events, took))
	return nil
}
