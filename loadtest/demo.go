package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A demoConfig is what the flags of "loadtest demo" say.
type demoConfig struct {
	url         string
	allowRemote bool
	token       string
	timeout     time.Duration
	days        int
	seed        uint64
	batch       int
	connections int
	live        bool
	rate        float64
	retryFor    time.Duration

	base string // scheme://host[:port]
	now  func() time.Time
}

// demoToken is of the demo catalog's superadmin. Its secrets are public.
const demoToken = "dop_v1_demo_ada"

const demoSynopsis = `demo [flags]

Fills the demo catalog's organization (meterhouse serve --demo) with usage to look at: the past
days of four agents and their users, several models, more by day than by night and less at
weekends. An event's id and what is in it follow from --seed and its hour alone, so a second run
adds only what has happened since. With --live it goes on with a few small events a second until
it is interrupted.`

func (c *demoConfig) register(set *flag.FlagSet) {
	set.StringVar(&c.url, "url", "http://127.0.0.1:8080", "the server's `origin`")
	set.BoolVar(&c.allowRemote, "allow-remote", false,
		"let --url name a host that is not loopback")
	set.StringVar(&c.token, "token", "",
		"Bearer `token` of an admin (or LOADTEST_TOKEN; default: the demo catalog's)")
	set.DurationVar(&c.timeout, "timeout", 30*time.Second, "limit of one HTTP request")
	set.IntVar(&c.days, "days", 14, "how many whole days before today")
	set.Uint64Var(&c.seed, "seed", 1, "another `number` makes other usage")
	set.IntVar(&c.batch, "batch", 1000, "events of one request")
	set.IntVar(&c.connections, "connections", 4, "requests at a time")
	set.BoolVar(&c.live, "live", false, "go on until interrupted")
	set.Float64Var(&c.rate, "rate", 3, "events a second of --live")
	set.DurationVar(&c.retryFor, "retry-for", 2*time.Minute, "how long a request is retried")
}

func (c *demoConfig) check(con console) error {
	if c.token == "" {
		c.token = con.getenv("LOADTEST_TOKEN")
	}
	if c.token == "" {
		c.token = demoToken
	}
	switch {
	case c.timeout <= 0 || c.retryFor < 0:
		return usagef("--timeout must be above 0, --retry-for not below")
	case c.days < 0 || c.days > 390:
		return usagef("--days: want 0 to 390")
	case c.batch < 1 || c.batch > requestEventsMax:
		return usagef("--batch: want 1 to %d", requestEventsMax)
	case c.connections < 1 || c.connections > 100:
		return usagef("--connections: want 1 to 100")
	case !(c.rate >= 0.1 && c.rate <= 1000):
		return usagef("--rate: want 0.1 to 1000")
	}
	base, err := origin(c.url, c.allowRemote)
	c.base = base
	return err
}

func runDemo(ctx context.Context, con console, args []string) error {
	c := demoConfig{now: time.Now}
	set := newFlags(con, "demo", demoSynopsis)
	c.register(set)
	if err := parse(set, args); err != nil {
		return err
	}
	if err := c.check(con); err != nil {
		return err
	}
	d := &demo{config: &c, client: newClient(c.base, c.connections, c.timeout)}
	defer d.client.close()
	began := time.Now()
	if err := d.fill(ctx); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "%s events of %d days: %s new, %s known, in %v\n",
		thousands(d.accepted.Load()+d.known.Load()), c.days, thousands(d.accepted.Load()),
		thousands(d.known.Load()), time.Since(began).Round(time.Millisecond))
	if !c.live {
		return nil
	}
	return d.goOn(ctx, con)
}

// A demo sends the demo's events.
type demo struct {
	config          *demoConfig
	client          *client
	accepted, known atomic.Int64
}

// fill sends the events of the past days. The first failure ends it.
func (d *demo) fill(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	batches := make(chan []demoEvent, d.config.connections)
	var group sync.WaitGroup
	for range d.config.connections {
		group.Go(func() {
			for events := range batches {
				if err := d.send(ctx, events); err != nil {
					fail(err)
				}
			}
		})
	}
	now := d.config.now().UTC()
	hand := func(events []demoEvent) {
		select {
		case batches <- events:
		case <-ctx.Done():
		}
	}
	var pending []demoEvent
	first := now.Truncate(24*time.Hour).AddDate(0, 0, -d.config.days)
	for hour := first; !hour.After(now); hour = hour.Add(time.Hour) {
		pending = append(pending, demoHour(d.config.seed, hour, now)...)
		for len(pending) >= d.config.batch {
			hand(pending[:d.config.batch:d.config.batch])
			pending = pending[d.config.batch:]
		}
	}
	if len(pending) > 0 {
		hand(pending)
	}
	close(batches)
	group.Wait()
	return context.Cause(ctx)
}

// send sends events until they are acknowledged, and counts them.
func (d *demo) send(ctx context.Context, events []demoEvent) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	body, err := json.Marshal(events)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	req.SetRequestURI(d.client.base + "/v1/events")
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/json")
	req.Header.Set("Authorization", "Bearer "+d.config.token)
	req.SetBodyRaw(body)
	if _, err := d.client.send(ctx, req, resp, d.config.retryFor); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	answer, err := decodeEventsAnswer(resp.StatusCode(), resp.Body(), len(events))
	if err != nil {
		return fmt.Errorf("demo: is the demo catalog there (meterhouse serve --demo)? %w", err)
	}
	d.accepted.Add(answer.Accepted)
	d.known.Add(answer.Duplicates)
	return nil
}

// goOn sends small events of now, one at a time, until ctx ends: an interrupt is no failure.
func (d *demo) goOn(ctx context.Context, con console) error {
	run, source := runID(d.config.now(), rand.Uint64()), rand.New(rand.NewPCG(rand.Uint64(), 0))
	var sent atomic.Int64
	shown := startProgress(con.errs, con.terminal, progressEvery(con.terminal), func() string {
		return "live: " + thousands(sent.Load()) + " events sent; interrupt to stop"
	})
	defer shown.stop()
	ticker := time.NewTicker(time.Duration(float64(time.Second) / d.config.rate))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		id := run + "-" + strconv.FormatInt(sent.Load(), 10)
		e := demoEventOf(source, id, d.config.now().UTC(), demoLiveShare)
		if err := d.send(ctx, []demoEvent{e}); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		sent.Add(1)
	}
}
