package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// The lines of the reads' benchmark, in the order of the table.
var readWorks = []string{"agent-usage", "dashboards", "year", "event", "pages", "heavy"}

// What the design asks of reads.
const (
	agentUsageTimesMax = 3.0 // the engine's floor
	dashboardsTimesMin = 5.0 // the engine's own queries a second
	answerAgeMax       = time.Second
	yearTimesMin       = 50.0 // faster than from raw events
	eventP50Max        = 10 * time.Millisecond
	pagesTimesMax      = 3.0 // the first page, of the deepest
)

// readFlags are the flags of "loadtest bench --read" alone.
type readFlags struct {
	trackerToken string
	dashboards   int
	agents       int
	heavy        int
	lookups      int
	years        int
}

func (f *readFlags) register(set *flag.FlagSet) {
	set.StringVar(&f.trackerToken, "tracker-token", "", "Bearer `token` of an admin of the "+
		"organization with most of the usage tracker's records (or LOADTEST_TRACKER_TOKEN)")
	set.IntVar(&f.dashboards, "dashboards", 64, "dashboards that ask at once")
	set.IntVar(&f.agents, "dashboard-agents", 50, "agents that they show")
	set.IntVar(&f.heavy, "heavy", 10, "heavy questions at once")
	set.IntVar(&f.lookups, "lookups", 300, "single questions of a round")
	set.IntVar(&f.years, "years", 5, "questions about a year of a round")
}

func (f *readFlags) validate() error {
	for _, n := range []int{f.dashboards, f.agents, f.heavy, f.lookups, f.years} {
		if n < 1 || n > 10_000 {
			return usagef("counts of reads: want 1 to 10000")
		}
	}
	return nil
}

func runBenchRead(ctx context.Context, con console, c *benchConfig) error {
	if err := c.reads.validate(); err != nil {
		return err
	}
	if err := c.target.resolveReads(con); err != nil {
		return err
	}
	if c.reads.trackerToken == "" {
		c.reads.trackerToken = con.getenv("LOADTEST_TRACKER_TOKEN")
	}
	c.engine.connections = max(c.engine.connections, engineAtOnce+1)
	e, err := c.engine.resolve(con, c.target.allowRemote)
	if err != nil {
		return err
	}
	if e == nil {
		return usagef("--read needs --engine-endpoint or --engine-url")
	}
	if err := e.findDatabase(ctx); err != nil {
		return err
	}
	b := &readBench{
		bench: bench{config: c, con: con, engine: e, load: loadBefore()},
	}
	b.client = newClient(c.target.base, c.reads.dashboards+c.reads.heavy+2, c.target.timeout)
	defer b.client.close()
	return b.all(ctx)
}

// A readBench measures reads one line after the other.
type readBench struct {
	bench
	client  *client
	subject readSubject
	lines   []*readLine
	notes   []string
}

// A readLine is one line of the table: latencies of ours and, where there is one, of a reference.
type readLine struct {
	name, reference string
	ours, other     latencies
	ratio           float64 // 0: none
	rates           string  // where the ratio is one of rates, both
	asked           string  // what is asked of it, for people
	missed          bool
}

// printed writes the line of the table.
func (l *readLine) printed(w io.Writer) {
	ratio, asked, reference := "—", l.asked, l.reference
	if l.ratio > 0 {
		ratio = strconv.FormatFloat(l.ratio, 'f', 2, 64)
	}
	if asked == "" {
		asked = "—"
	}
	if reference == "" {
		reference = "—"
	}
	name := l.name
	if l.rates != "" {
		name += ": " + l.rates
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", name,
		quantile(&l.ours, 0.5), quantile(&l.ours, 0.99), reference,
		quantile(&l.other, 0.5), quantile(&l.other, 0.99), ratio, asked)
}

func (b *readBench) all(ctx context.Context) error {
	var err error
	if b.subject, err = b.findSubject(ctx); err != nil {
		return err
	}
	for _, name := range b.config.works() {
		if err := b.rest(ctx); err != nil {
			return err
		}
		b.note("%s …", name)
		measure := map[string]func(context.Context) error{
			"agent-usage": b.agentUsage, "dashboards": b.dashboards, "year": b.year,
			"event": b.event, "pages": b.pages, "heavy": b.heavy,
		}[name]
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	b.print()
	if !b.config.check {
		return nil
	}
	var wrong []string
	for _, l := range b.lines {
		if l.missed {
			wrong = append(wrong, l.name+": "+l.asked)
		}
	}
	if len(wrong) > 0 {
		return errors.New("not reached: " + strings.Join(wrong, "; "))
	}
	return nil
}

func (b *readBench) print() {
	w := b.con.out
	fmt.Fprint(w, "\n| reads | p50 | p99 | reference | its p50 | its p99 | ratio | asked |\n"+
		"| --- | ---: | ---: | --- | ---: | ---: | ---: | --- |\n")
	for _, l := range b.lines {
		l.printed(w)
	}
	s := b.subject
	fmt.Fprintf(w, "\n%s events, %s measurements of %d organizations; %s events of the one that is "+
		"asked about. %d rounds, sides taking turns. %s\nMachine: %s%s.\n", thousands(s.allEvents),
		thousands(s.allRows), s.organizations, thousands(s.events), b.config.rounds,
		strings.Join(b.notes, " "), machine(), b.load)
}

// A readSubject is whom the questions are about, as the engine knows it.
type readSubject struct {
	organization string
	agents       []string // the busiest first
	to           time.Time
	events       int64 // of the organization

	allEvents, allRows int64
	organizations      int64
}

// findSubject finds the organization with most events, its busiest agents, and the end of the last
// whole day that has any.
func (b *readBench) findSubject(ctx context.Context) (s readSubject, err error) {
	ask := func(sql string) string {
		var text []byte
		if err == nil {
			text, err = b.engine.query(ctx, b.engine.database, sql+" FORMAT TabSeparatedRaw")
		}
		return strings.TrimSpace(string(text))
	}
	number := func(sql string) (n int64) {
		if text := ask(sql); err == nil {
			n, err = strconv.ParseInt(text, 10, 64)
		}
		return n
	}
	s.allRows = number("SELECT count() FROM " + ledgerTable)
	s.allEvents = number("SELECT sum(events) FROM consumption_monthly")
	s.organizations = number("SELECT uniqExact(organization_id) FROM billable_hourly")
	s.organization = ask("SELECT organization_id FROM billable_hourly " +
		"GROUP BY organization_id ORDER BY sum(events) DESC LIMIT 1")
	mine := " WHERE organization_id = '" + quoteText(s.organization) + "'"
	s.events = number("SELECT sum(events) FROM consumption_monthly" + mine)
	s.to = time.Unix(number("SELECT toUnixTimestamp(toStartOfDay(max(hour))) "+
		"FROM billable_hourly"+mine+" AND hour < today()"), 0).UTC().AddDate(0, 0, 1)
	s.agents = strings.Fields(ask("SELECT agent_id FROM consumption_monthly" + mine +
		" AND agent_id != toUUID('00000000-0000-0000-0000-000000000000') GROUP BY agent_id " +
		"ORDER BY sum(events) DESC LIMIT " + strconv.Itoa(b.config.reads.agents)))
	if err == nil && len(s.agents) == 0 {
		err = errors.New("the ledger is empty: `loadtest fill` fills it")
	}
	return s, err
}

// get asks the server and returns the body of its 200. An answer that says "later" is an
// *errStatus of 429 or 503.
func (b *readBench) get(ctx context.Context, token, path string, query url.Values) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	req.SetRequestURI(b.client.base + path)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if err := b.client.do(req, resp); err != nil {
		return nil, err
	}
	if resp.StatusCode() != http.StatusOK {
		return nil, fmt.Errorf("%s: %w", path, statusError(resp))
	}
	return append([]byte(nil), resp.Body()...), nil
}

// refused tells whether an error is the server's "later".
func refused(err error) bool {
	var status *errStatus
	return errors.As(err, &status) && (status.status == http.StatusTooManyRequests ||
		status.status == http.StatusServiceUnavailable)
}

// asker asks one question, the n-th of its worker's.
type asker func(ctx context.Context, worker, n int) error

// times asks one after the other and counts what each took.
func times(ctx context.Context, l *latencies, count int, ask asker) error {
	for n := range count {
		began := time.Now()
		if err := ask(ctx, 0, n); err != nil {
			return err
		}
		l.add(time.Since(began))
	}
	return nil
}

// crowd lets so many workers ask for a while, each with a pause between two questions, and returns
// how many answers a second there were.
func crowd(
	ctx context.Context, l *latencies, workers int, d, between time.Duration, ask asker,
) (float64, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var answers atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for worker := range workers {
		group.Go(func() {
			// Dashboards that are opened at different times ask at different times.
			_ = pause(ctx, between*time.Duration(worker)/time.Duration(workers))
			for n := 0; ctx.Err() == nil && time.Since(began) < d; n++ {
				asked := time.Now()
				if err := ask(ctx, worker, n); err != nil {
					fail(err)
					return
				}
				l.add(time.Since(asked))
				answers.Add(1)
				_ = pause(ctx, between)
			}
		})
	}
	group.Wait()
	return float64(answers.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}
