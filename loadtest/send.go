package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// A job is one request: some events of one agent, by their number in the plan.
type job struct {
	agent  int
	events []int
}

// A sender sends a plan: one goroutine deals events into requests when they are due, one per
// connection sends them.
//
//	dispatch (the trace's rhythm) ── jobs ──► connections × work ──► POST /v1/events
type sender struct {
	config *replayConfig
	plan   *plan
	writer eventWriter
	client *client
	jobs   chan job

	started    time.Time
	lag        time.Duration // how far the dispatch fell behind the rhythm; dispatch's own
	sent       atomic.Int64  // events handed to a connection
	acked      atomic.Int64  // events of answered requests
	accepted   atomic.Int64
	duplicates atomic.Int64
	requests   atomic.Int64
	refused    atomic.Int64 // retries after 429 or 503
	unknown    atomic.Int64 // retries after a broken connection
	resent     atomic.Int64 // acknowledged requests sent again on purpose
	lastAck    atomic.Int64 // nanoseconds since started
	latencies  *latencies
	rate       meter // the progress goroutine's own
}

func newSender(c *replayConfig, p *plan) *sender {
	return &sender{
		config:    c,
		plan:      p,
		writer:    newEventWriter(c.provider, c.model),
		client:    newClient(c.target.base, c.connections, c.target.timeout),
		jobs:      make(chan job, c.connections),
		latencies: new(latencies),
	}
}

// run sends every event of the plan and returns when each is acknowledged, or why not. The
// first failure ends the run: the rest would only bury its reason.
func (s *sender) run(ctx context.Context, con console) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer s.client.close()
	s.started = time.Now()
	s.rate.at = s.started
	shown := startProgress(con.errs, con.terminal, progressEvery(con.terminal), s.progress)
	var group sync.WaitGroup
	for range s.config.connections {
		group.Go(func() {
			if err := s.work(ctx); err != nil {
				fail(err)
			}
		})
	}
	if err := s.dispatch(ctx); err != nil {
		fail(err)
	}
	close(s.jobs)
	group.Wait()
	shown.stop()
	return context.Cause(ctx)
}

// dispatch deals the events to requests, each when it is due.
func (s *sender) dispatch(ctx context.Context) error {
	pending := newPending(s.plan.agents)
	for i := range s.plan.count() {
		e := s.plan.event(i)
		if err := s.awaitDue(ctx, pending, e.offset); err != nil {
			return err
		}
		events := pending.add(e.agent, i, time.Now())
		if len(events) == s.config.batch {
			if err := s.hand(ctx, pending.take(e.agent)); err != nil {
				return err
			}
		}
	}
	for _, j := range pending.takeBefore(time.Now().Add(time.Hour)) {
		if err := s.hand(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// awaitDue waits until an event's time has come, and meanwhile hands on requests whose events
// have waited long enough for company.
func (s *sender) awaitDue(ctx context.Context, pending *pending, offset time.Duration) error {
	if s.config.flat {
		return nil
	}
	due := s.started.Add(time.Duration(float64(offset) / s.config.speedup))
	for {
		now := time.Now()
		for _, j := range pending.takeBefore(now.Add(-s.config.linger)) {
			if err := s.hand(ctx, j); err != nil {
				return err
			}
		}
		wait := time.Until(due)
		if wait <= 0 {
			s.lag = max(s.lag, -wait)
			return nil
		}
		if pending.count > 0 {
			oldest := pending.first.Add(s.config.linger)
			wait = min(wait, max(time.Until(oldest), time.Millisecond))
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *sender) hand(ctx context.Context, j job) error {
	select {
	case s.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work sends requests until there are none left.
func (s *sender) work(ctx context.Context) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	var body []byte
	for j := range s.jobs {
		if ctx.Err() != nil {
			return nil // the reason is known to who ended it
		}
		var kind string
		body, kind = appendBatch(body[:0], s.config.format, len(j.events),
			func(dst []byte, i int) []byte {
				return s.writer.appendTraced(dst, s.plan, s.plan.event(j.events[i]))
			})
		s.fill(req, j, body, kind)
		if err := s.request(ctx, req, resp, j); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) fill(req *fasthttp.Request, j job, body []byte, kind string) {
	req.Reset()
	uri := s.client.base + "/v1/events"
	if s.config.atomic {
		uri += "?atomic=true"
	}
	req.SetRequestURI(uri)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType(kind)
	req.Header.Set("Agent-Secret-Key", s.config.target.agents[j.agent].secret)
	if !s.config.gzip {
		req.SetBodyRaw(body)
		return
	}
	req.Header.Set("Content-Encoding", "gzip")
	compressed := gzip.NewWriter(req.BodyWriter())
	// Writing into memory does not fail.
	_, _ = compressed.Write(body)
	_ = compressed.Close()
}

// request sends one request until it is acknowledged, counts the answer, and at times sends it
// again.
func (s *sender) request(
	ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response, j job,
) error {
	events := len(j.events)
	s.sent.Add(int64(events))
	began := time.Now()
	tried, answer, err := s.once(ctx, req, resp, events)
	if err != nil {
		return fmt.Errorf("request of agent %s, events from %s: %w",
			s.config.target.agents[j.agent].id, s.firstID(j), err)
	}
	now := time.Now()
	s.latencies.add(now.Sub(began))
	s.accepted.Add(answer.Accepted)
	s.duplicates.Add(answer.Duplicates)
	s.ack(now)
	s.acked.Add(int64(events))
	// A duplicate of what was sent once means that its id is taken: it is not counted.
	if tried.unknown == 0 && answer.Duplicates > 0 {
		return fmt.Errorf("%d events from %s were sent once but are duplicates: "+
			"was this --run-id used before?", answer.Duplicates, s.firstID(j))
	}
	done := s.requests.Add(1)
	if s.config.resendEvery == 0 || done%int64(s.config.resendEvery) != 0 {
		return nil
	}
	if _, _, err := s.once(ctx, req, resp, events); err != nil {
		return fmt.Errorf("sent again: events from %s: %w", s.firstID(j), err)
	}
	s.resent.Add(1)
	return nil
}

// once sends a request until it is answered for good.
func (s *sender) once(
	ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response, events int,
) (retries, eventsAnswer, error) {
	tried, err := s.client.send(ctx, req, resp, s.config.retryFor)
	s.refused.Add(int64(tried.refused))
	s.unknown.Add(int64(tried.unknown))
	if err != nil {
		return tried, eventsAnswer{}, err
	}
	answer, err := decodeEventsAnswer(resp.StatusCode(), resp.Body(), events)
	return tried, answer, err
}

func (s *sender) firstID(j job) string {
	return string(s.plan.appendID(nil, s.plan.event(j.events[0])))
}

func (s *sender) ack(now time.Time) {
	at := int64(now.Sub(s.started))
	for {
		last := s.lastAck.Load()
		if at <= last || s.lastAck.CompareAndSwap(last, at) {
			return
		}
	}
}

// progress is the line shown while sending.
func (s *sender) progress() string {
	now, acked, total := time.Now(), s.acked.Load(), int64(s.plan.count())
	rate := s.rate.update(now, acked)
	left := "?"
	if rate > 0 {
		eta := time.Duration(float64(total-acked) / rate * float64(time.Second))
		whole := time.Duration(float64(s.plan.duration()) / s.config.speedup)
		// The rhythm sets the end, unless the server has fallen behind it.
		if rest := whole - now.Sub(s.started); !s.config.flat && rest > 0 {
			eta = rest
		}
		left = eta.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f/s, sent %d, acknowledged %d of %d (%d%%), retries %d, left %s", rate,
		s.sent.Load(), acked, total, acked*100/total, s.refused.Load()+s.unknown.Load(), left)
}

// print prints what the sending came to.
func (s *sender) print(w io.Writer) {
	elapsed := time.Duration(s.lastAck.Load())
	fmt.Fprintf(w, "acknowledged  %s events/s: %d events of %d requests in %v\n",
		perSecond(s.acked.Load(), elapsed), s.acked.Load(), s.requests.Load(),
		elapsed.Round(time.Millisecond))
	fmt.Fprintf(w, "answers       %d accepted, %d duplicates\n",
		s.accepted.Load(), s.duplicates.Load())
	fmt.Fprintf(w, "latency       p50 %s  p95 %s  p99 %s\n", millis(s.latencies.quantile(0.5)),
		millis(s.latencies.quantile(0.95)), millis(s.latencies.quantile(0.99)))
	fmt.Fprintf(w, "retries       %d after 429 or 503, %d after a broken connection\n",
		s.refused.Load(), s.unknown.Load())
	if s.config.resendEvery > 0 {
		fmt.Fprintf(w, "sent again    %d acknowledged requests\n", s.resent.Load())
	}
	if !s.config.flat {
		fmt.Fprintf(w, "rhythm        kept to within %s\n", millis(s.lag))
	}
}

// perSecond writes a rate for people.
func perSecond(count int64, elapsed time.Duration) string {
	if elapsed <= 0 {
		return "-"
	}
	return thousands(int64(math.Round(float64(count) / elapsed.Seconds())))
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// millis writes a duration in milliseconds.
func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
