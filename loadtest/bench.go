package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The lines of the benchmark, in the order of the table.
var benchWorks = []string{
	"raia", "native", "native-key", "batch-ndjson", "batch-array", "batch-ndjson-key",
}

// What the design asks for, and what it is compared to. OpenMeter's figure was measured on a
// 2-core machine, tuned; it is not measured in the run.
const (
	singleRatioMin     = 0.75
	singleP99Max       = 25 * time.Millisecond
	batchRatioMin      = 0.5
	openMeterStored    = 7_100.0
	openMeterStoredMin = 20.0
)

// A benchConfig is what the flags of "loadtest bench" say.
type benchConfig struct {
	target           target
	only             string
	rounds           int
	duration         time.Duration
	connections      int
	events           int
	batch            int
	batchConnections int
	provider         string
	model            string
	settle           time.Duration
	wait             time.Duration
	check            bool
	read             bool
	reads            readFlags
	engine           engineFlags

	run string // names this run's events
}

const benchSynopsis = `bench [flags]

Measures writes as ratios to references measured in the same run, the sides taking turns:
  raia, native, native-key  one event a request, over many connections, against a bare server
                            of the same framework run as a child process ("loadtest bare");
                            native-key events carry an idempotency key
  batch-ndjson, batch-array, batch-ndjson-key
                            events of one measurement, many a request, until a read over the API
                            shows them all, against inserting the same rows, encoded beforehand,
                            into a copy of the same tables (--engine-endpoint or --engine-url)
After every round the sums are read back and must be exactly what was acknowledged. The engine's
database "bench_reference" is made, filled and dropped. Prints a Markdown table.

With --read it measures reads of what is there (see "loadtest help fill"), the sides taking turns:
  agent-usage  an agent over 90 days, every time another range, against the engine's answer to a
               query by primary key
  dashboards   64 connections over 50 agents, against the engine's own answers to the same
               questions, while events are written whose absence from an answer tells its age
  year         a year by day and model of the organization with most, against the same of raw events
  event        one event by its id
  pages        GET /usage at its first, its 1,000th and its last page (needs --tracker-token)
  heavy        the dashboards while ten others group a year by user and endpoint
It needs --token of an admin of the organization with most events, and an engine.`

func (c *benchConfig) register(set *flag.FlagSet) {
	c.target.register(set)
	c.engine.register(set)
	set.StringVar(&c.only, "only", "", "measure only these `lines`, comma-separated, of "+
		strings.Join(benchWorks, ",")+"; or, with --read, of "+strings.Join(readWorks, ","))
	set.IntVar(&c.rounds, "rounds", 3, "rounds of each line; the table shows medians")
	set.DurationVar(&c.duration, "duration", 5*time.Second, "a round of single events, a side")
	set.IntVar(&c.connections, "connections", 128, "connections of single events")
	set.IntVar(&c.events, "events", 2_000_000, "events of a round of batches")
	set.IntVar(&c.batch, "batch", 1000, "events of one batch")
	set.IntVar(&c.batchConnections, "batch-connections", 8, "connections of batches")
	set.StringVar(&c.provider, "provider", "OpenAI", "the events' provider")
	set.StringVar(&c.model, "model", "gpt-4o-mini", "the events' model")
	set.DurationVar(&c.settle, "settle", 2*time.Second, "rest between two sides")
	set.DurationVar(&c.wait, "wait", 2*time.Minute, "how long to wait until sums are visible")
	c.reads.register(set)
	set.BoolVar(&c.read, "read", false, "measure reads")
	set.BoolVar(&c.check, "check", false, "fail when a line misses what is asked of it")
}

func (c *benchConfig) validate() error {
	known := benchWorks
	if c.read {
		known = readWorks
	}
	for _, name := range c.works() {
		if !slices.Contains(known, name) {
			return usagef("--only: no line %q", name)
		}
	}
	switch {
	case c.rounds < 1:
		return usagef("--rounds: want 1 or more")
	case c.duration <= 0:
		return usagef("--duration must be above 0")
	case c.connections < 1 || c.batchConnections < 1:
		return usagef("connections: want 1 or more")
	case c.batch < 1 || c.batch > requestEventsMax:
		return usagef("--batch: want 1 to %d", requestEventsMax)
	case c.events < c.batch || c.events > 50_000_000:
		return usagef("--events: want %d to 50000000", c.batch)
	case c.settle < 0 || c.wait < 0:
		return usagef("a duration must not be negative")
	}
	return nil
}

func (c *benchConfig) works() []string {
	switch {
	case c.only == "" && c.read:
		return readWorks
	case c.only == "":
		return benchWorks
	}
	return strings.Split(c.only, ",")
}

func runBench(ctx context.Context, con console, args []string) error {
	var c benchConfig
	set := newFlags(con, "bench", benchSynopsis)
	c.register(set)
	if err := parse(set, args); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	if c.read {
		return runBenchRead(ctx, con, &c)
	}
	if err := c.target.resolve(con); err != nil {
		return err
	}
	e, err := c.engine.resolve(con, c.target.allowRemote)
	if err != nil {
		return err
	}
	c.run = runID(time.Now(), rand.Uint64())
	b := &bench{config: &c, con: con, engine: e, load: loadBefore()}
	b.reads = newClient(c.target.base, readsAtOnce, c.target.timeout)
	defer b.reads.close()
	return b.all(ctx)
}

// A bench measures lines one after the other.
type bench struct {
	config *benchConfig
	con    console
	reads  *client
	engine *engine      // nil without one
	serial atomic.Int64 // of the events' keys
	load   string       // of the machine, before the run
}

// A line is one line of the table.
type line struct {
	name         string
	unit         string // of the rates
	reference    string // what it is measured against
	ours, others []float64
	latency      latencies
	otherLatency latencies
	ratioMin     float64 // 0 if nothing is asked
	p99Max       time.Duration
	refused      int64
}

// ratios returns the rounds' ratios; none without a reference.
func (l *line) ratios() []float64 {
	var ratios []float64
	for i := range l.others {
		ratios = append(ratios, l.ours[i]/l.others[i])
	}
	return ratios
}

// ratio is the median of the rounds' ratios; 0 without a reference.
func (l *line) ratio() float64 { return median(l.ratios()) }

// missed says what is asked of a line and not reached; empty if nothing.
func (l *line) missed() string {
	if l.ratioMin > 0 && len(l.others) > 0 && l.ratio() < l.ratioMin {
		return fmt.Sprintf("%s: ratio %.2f is below %.2f", l.name, l.ratio(), l.ratioMin)
	}
	if p99 := l.latency.quantile(0.99); l.p99Max > 0 && p99 >= l.p99Max {
		return fmt.Sprintf("%s: p99 %s is not below %s", l.name, millis(p99), millis(l.p99Max))
	}
	return ""
}

func (b *bench) all(ctx context.Context) error {
	var lines []*line
	memory := watchMemory(ctx, b.reads)
	defer memory.end()
	for _, name := range b.config.works() {
		var measured []*line
		var err error
		if strings.HasPrefix(name, "batch-") {
			measured, err = b.batches(ctx, name)
		} else {
			measured, err = b.single(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		lines = append(lines, measured...)
	}
	most := memory.end()
	b.print(lines, most)
	if !b.config.check {
		return nil
	}
	return missed(lines, most)
}

// missed is an error if some line, or the memory, misses what is asked of it.
func missed(lines []*line, memory int64) error {
	var missed []string
	if text := memoryMissed(memory); text != "" {
		missed = append(missed, text)
	}
	for _, l := range lines {
		if text := l.missed(); text != "" {
			missed = append(missed, text)
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("not reached: %s", strings.Join(missed, "; "))
	}
	return nil
}

// rest lets what a side left behind end before the other starts: background merges, caches,
// garbage.
func (b *bench) rest(ctx context.Context) error {
	if err := pause(ctx, b.config.settle); err != nil {
		return err
	}
	if b.engine == nil {
		return nil
	}
	return b.engine.awaitMerges(ctx)
}

// note prints one plain line of progress.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.con.errs, format+"\n", args...)
}

func (b *bench) print(lines []*line, memory int64) {
	w := b.con.out
	fmt.Fprint(w, "\n| work | Meterhouse | reference | ratio | at least | p50 | p99 "+
		"| reference p50 | reference p99 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: "+
		"| ---: | ---: |\n")
	for _, l := range lines {
		l.print(w)
	}
	fmt.Fprint(w, memoryLine(memory))
	fmt.Fprintf(w, "\nMedians of %d rounds, sides taking turns; the ratio is the median of the "+
		"rounds' ratios, least and greatest in brackets.\nSingle events: %d connections, %v a side. "+
		"Batches: %s events a round, "+
		"%d a request, %d connections, until visible; latencies are those of the "+
		"acknowledgements.\nMachine: %s%s.\n", b.config.rounds, b.config.connections,
		b.config.duration, thousands(int64(b.config.events/b.config.batch*b.config.batch)),
		b.config.batch, b.config.batchConnections, machine(), b.load)
	for _, l := range lines {
		if l.refused > 0 {
			fmt.Fprintf(w, "%s: %d requests were refused (429 or 503) and sent again or left out "+
				"of the rate.\n", l.name, l.refused)
		}
	}
}

func (l *line) print(w io.Writer) {
	reference, ratio, asked := "—", "—", "—"
	if len(l.others) > 0 {
		reference = fmt.Sprintf("%s %s (%s)", rate(median(l.others)), l.unit, l.reference)
		ratios := l.ratios()
		ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", l.ratio(), slices.Min(ratios), slices.Max(ratios))
	}
	if l.ratioMin > 0 {
		asked = fmt.Sprintf("%.2f", l.ratioMin)
	}
	if l.p99Max > 0 {
		asked += fmt.Sprintf(", p99 < %d ms", l.p99Max.Milliseconds())
	}
	fmt.Fprintf(w, "| %s | %s %s | %s | %s | %s | %s | %s | %s | %s |\n", l.name,
		rate(median(l.ours)), l.unit, reference, ratio, asked,
		quantile(&l.latency, 0.5), quantile(&l.latency, 0.99),
		quantile(&l.otherLatency, 0.5), quantile(&l.otherLatency, 0.99))
}

func quantile(l *latencies, q float64) string {
	if d := l.quantile(q); d > 0 {
		return millis(d)
	}
	return "—"
}

func rate(r float64) string { return thousands(int64(math.Round(r))) }

// median returns the middle value, or the mean of the two; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
