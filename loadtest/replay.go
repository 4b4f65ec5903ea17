package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The API's limit of one request's events, and ours of one run's.
const (
	requestEventsMax = 10_000
	runEventsMax     = 1_000_000_000
)

// A replayConfig is what the flags of "loadtest replay" say.
type replayConfig struct {
	target      target
	traces      stringList
	speedup     float64
	flat        bool
	connections int
	batch       int
	linger      time.Duration
	gzip        bool
	format      string
	atomic      bool
	shift       string
	copies      int
	provider    string
	model       string
	run         string
	resendEvery int
	retryFor    time.Duration
	wait        time.Duration
	settle      time.Duration
}

const replaySynopsis = `replay --trace FILE.csv [flags]

Sends each line of the traces (CSV: TIMESTAMP,ContextTokens,GeneratedTokens) as a native event
with usage {INPUT: ContextTokens, OUTPUT: GeneratedTokens}, then reads every agent's usage back
and fails unless each sum is exactly what was sent. Lines are dealt to the agents in turn. Times
are shifted as --shift says, keep their distances, and are rounded down to milliseconds. No one
else may write the same agents' usage of that interval (with --memori-token, of those days, and
with --tenant, of those months) meanwhile.
Each event's id is RUN-COPY-FILE-LINE, so that a request sent twice counts once.`

func (c *replayConfig) register(set *flag.FlagSet) {
	c.target.register(set)
	set.Var(&c.traces, "trace", "a trace, a CSV `file`; may be repeated, lines merge by time")
	set.Float64Var(&c.speedup, "speedup", 60,
		"how many times faster than it happened: `N`=60 replays an hour in a minute")
	set.BoolVar(&c.flat, "flat", false, "send as fast as the server answers, without the rhythm")
	set.IntVar(&c.connections, "connections", 32, "requests at a time")
	set.IntVar(&c.batch, "batch", 1, "events of one request at most")
	set.DurationVar(&c.linger, "linger", 100*time.Millisecond,
		"how long an event waits for others of its request")
	set.BoolVar(&c.gzip, "gzip", false, "compress bodies")
	set.StringVar(&c.format, "format", formatNDJSON, "how a batch is written: ndjson or array")
	set.BoolVar(&c.atomic, "atomic", false, "ask for all or nothing (?atomic=true)")
	set.StringVar(&c.shift, "shift", "1m", "when the last line happened: `how long` before the "+
		"start of the run, or an RFC 3339 time")
	set.IntVar(&c.copies, "copies", 1, "send the trace `N` times, one copy after another")
	set.StringVar(&c.provider, "provider", "OpenAI", "the events' provider")
	set.StringVar(&c.model, "model", "gpt-4o-mini", "the events' model")
	set.StringVar(&c.run, "run-id", "", "prefix of the events' ids (default: a random one)")
	set.IntVar(&c.resendEvery, "resend-every", 0,
		"send every `N`th acknowledged request again, as a client that lost the answer does")
	set.DurationVar(&c.retryFor, "retry-for", 2*time.Minute, "how long a request is retried")
	set.DurationVar(&c.wait, "wait", time.Minute, "how long to wait until sums are visible")
	set.DurationVar(&c.settle, "settle", time.Second,
		"after all sums are equal, how long until they are read once more")
}

func (c *replayConfig) check(set *flag.FlagSet) error {
	speedupGiven := false
	set.Visit(func(f *flag.Flag) { speedupGiven = speedupGiven || f.Name == "speedup" })
	switch {
	case len(c.traces) == 0:
		return usagef("--trace is needed")
	case speedupGiven && c.flat:
		return usagef("--speedup and --flat exclude each other")
	case !(c.speedup >= 0.01 && c.speedup <= 1e9):
		return usagef("--speedup: want 0.01 or more")
	case c.connections < 1 || c.connections > 10_000:
		return usagef("--connections: want 1 to 10000")
	case c.batch < 1 || c.batch > requestEventsMax:
		return usagef("--batch: want 1 to %d", requestEventsMax)
	case c.copies < 1:
		return usagef("--copies: want 1 or more")
	case c.format != formatNDJSON && c.format != formatArray:
		return usagef("--format: want %s or %s", formatNDJSON, formatArray)
	case c.resendEvery < 0:
		return usagef("--resend-every must not be negative")
	case c.linger < 0 || c.settle < 0 || c.wait < 0 || c.retryFor < 0:
		return usagef("a duration must not be negative")
	case len(c.run) > 100 || !plainID(c.run):
		return usagef("--run-id: want at most 100 of a-z A-Z 0-9 . _ -")
	}
	return nil
}

// plainID tells whether an id needs no escaping in JSON.
func plainID(id string) bool {
	return !slices.ContainsFunc([]byte(id), func(b byte) bool {
		letter := 'a' <= b|0x20 && b|0x20 <= 'z'
		return !letter && !('0' <= b && b <= '9') && b != '.' && b != '_' && b != '-'
	})
}

// newPlan reads the traces and lays their events out in time.
func (c *replayConfig) newPlan(start time.Time) (*plan, error) {
	end, err := shiftEnd(c.shift, start)
	if err != nil {
		return nil, err
	}
	lines, err := readTraces(c.traces)
	if err != nil {
		return nil, err
	}
	if c.copies > runEventsMax/len(lines) {
		return nil, usagef("more than %d events", runEventsMax)
	}
	run := c.run
	if run == "" {
		run = runID(start, rand.Uint64())
	}
	p := &plan{
		run: run, lines: lines, copies: c.copies, agents: len(c.target.agents), end: end,
	}
	return p, p.check(start)
}

func runReplay(ctx context.Context, con console, args []string) error {
	var c replayConfig
	set := newFlags(con, "replay", replaySynopsis)
	c.register(set)
	if err := parse(set, args); err != nil {
		return err
	}
	if err := c.check(set); err != nil {
		return err
	}
	if err := c.target.resolve(con); err != nil {
		return err
	}
	p, err := c.newPlan(time.Now())
	if err != nil {
		return err
	}
	sent, err := p.sums()
	if err != nil {
		return err
	}
	return replay(ctx, con, &c, p, sent)
}

// replay sends a plan and compares the sums. It returns nil only if each is exactly what was
// sent.
func replay(ctx context.Context, con console, c *replayConfig, p *plan, sent []usage) error {
	reads := newClient(c.target.base, readsAtOnce, c.target.timeout)
	defer reads.close()
	exact, dayGrained, err := c.checks(reads, p, sent)
	if err != nil {
		return err
	}
	first, last := p.interval()
	fmt.Fprintf(con.out, "run %s: %d events of %s to %s for %d agents\n", p.run, p.count(),
		first.Format(time.RFC3339Nano), last.Format(time.RFC3339Nano), p.agents)
	all := slices.Concat(exact, dayGrained)
	if err := readBefore(ctx, all, c.wait); err != nil {
		return err
	}
	s := newSender(c, p)
	err = s.run(ctx, con)
	s.print(con.out)
	if err != nil {
		return err
	}
	visible, err := awaitEqual(ctx, con, exact, c.wait)
	if err != nil {
		return err
	}
	if _, err := awaitEqual(ctx, con, dayGrained, c.wait); err != nil {
		return err
	}
	if unequal(all) == 0 {
		// What is counted twice may become visible later than what is counted once.
		if err := pause(ctx, c.settle); err != nil {
			return err
		}
		if _, err := awaitEqual(ctx, con, all, c.wait); err != nil {
			return err
		}
	}
	if wrong := unequal(all); wrong > 0 {
		printDifferences(con.out, all)
		return fmt.Errorf("%d of %d reads are not exactly what was sent", wrong, len(all))
	}
	elapsed := visible.Sub(s.started)
	fmt.Fprintf(con.out, "visible       %s events/s (%v from the first event sent)\n",
		perSecond(int64(p.count()), elapsed), elapsed.Round(time.Millisecond))
	fmt.Fprintf(con.out, "exact         %d reads, each equal to what was sent\n", len(all))
	return nil
}

// checks returns the reads that are compared: those of exactly the plan's interval, and those of
// whole days and months.
func (c *replayConfig) checks(
	reads *client, p *plan, sent []usage,
) (exact, dayGrained []*check, err error) {
	r := &reader{client: reads, token: c.target.token, memori: c.target.memoriToken}
	first, last := p.interval()
	total := usage{}
	for i, a := range c.target.agents {
		if err := total.addAll(sent[i]); err != nil {
			return nil, nil, err
		}
		exact = append(exact, &check{
			source: "DigitalOcean", subject: a.id, sent: sent[i],
			read: func(ctx context.Context) (usage, error) {
				return r.digitalOcean(ctx, a.id, first, last)
			},
		})
		if c.target.memoriToken != "" {
			dayGrained = append(dayGrained, r.memoriCheck("Memori", a.id, "Daily", p, sent[i]))
		}
	}
	if c.target.tenant != "" {
		for _, kind := range []string{"Daily", "Monthly"} {
			dayGrained = append(dayGrained,
				r.memoriCheck("Tenant", c.target.tenant, kind, p, total))
		}
	}
	return exact, dayGrained, nil
}

func (r *reader) memoriCheck(route, subject, kind string, p *plan, sent usage) *check {
	first, last := p.interval()
	return &check{
		source: route + " " + kind, subject: subject, sent: sent,
		read: func(ctx context.Context) (usage, error) {
			return r.consumption(ctx, route, subject, kind, first, last)
		},
	}
}
