package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	probeEvery = 100 * time.Millisecond
	probeReads = 20 * time.Millisecond
)

// A probe writes events of one token of a usage type that nothing else has, one after the other,
// and watches an agent's usage for them: an answer that lacks one which was there before the
// question is as old as that is long ago.
type probe struct {
	name      string
	usageType string
	write     func(ctx context.Context) error // returns when the event has to be there
	ages      latencies
	asked     time.Duration // what the greatest age must be below; 0: nothing

	mu      sync.Mutex
	written []time.Time
}

// storedProbe writes straight into the ledger: the age of an answer is what reads add.
func (b *readBench) storedProbe() *probe {
	p := &probe{
		name: "how long what is stored is not shown to them", usageType: "BENCH_STORED_TOKENS",
		asked: answerAgeMax,
	}
	p.write = func(ctx context.Context) error {
		// An event of no node's log, as far as verify is concerned.
		_, err := b.engine.post(ctx, url.Values{
			"database": {b.engine.database}, "async_insert": {"0"},
			"param_organization": {b.subject.organization},
			"param_agent":        {b.subject.agents[0]},
			"param_usage_type":   {p.usageType},
		}, []byte("INSERT INTO "+ledgerTable+" (organization_id, event_id, revision, entry, "+
			"event_time, ingest_time, agent_id, usage_type, ordinal, quantity, pricing, sequence) "+
			"SELECT {organization:UUID}, generateUUIDv4(), 0, 1, now64(6), now64(6), {agent:UUID}, "+
			"{usage_type:String}, 0, 1, 0, 0"))
		return err
	}
	return p
}

// ackedProbe writes over the API: the age of an answer is all between a 201 and the dashboard.
func (b *readBench) ackedProbe() *probe {
	p := &probe{
		name: "how long what is acknowledged is not shown to them", usageType: "BENCH_ACKED_TOKENS",
	}
	body := []byte(`{"agent_id":"` + b.subject.agents[0] + `","usage":{"` + p.usageType + `":1}}`)
	p.write = func(ctx context.Context) error {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(resp)
		req.SetRequestURI(b.client.base + "/v1/events")
		req.Header.SetMethod(http.MethodPost)
		req.Header.SetContentType("application/json")
		req.Header.Set("Authorization", "Bearer "+b.config.target.token)
		req.SetBodyRaw(body)
		if err := b.client.do(req, resp); err != nil {
			return err
		}
		if resp.StatusCode() != http.StatusCreated {
			return statusError(resp)
		}
		return nil
	}
	return p
}

// probed does work while the probes write and watch.
func (b *readBench) probed(
	ctx context.Context, work func(context.Context) (float64, error), probes ...*probe,
) (float64, error) {
	from := b.subject.to.Add(-ninetyDays)
	r := &reader{client: b.client, token: b.config.target.token}
	read := func(ctx context.Context) (usage, error) {
		body, err := r.get(ctx, "/v2/gen-ai/agents/"+url.PathEscape(b.subject.agents[0])+"/usage?"+
			url.Values{"start": {from.Format(apiInstant)}}.Encode(), "Bearer "+r.token)
		if err != nil {
			return nil, err
		}
		return decodeDigitalOcean(body)
	}
	// What an earlier round wrote a moment ago has to be in what this one counts from.
	if err := pause(ctx, 2*answerAgeMax); err != nil {
		return 0, err
	}
	before, err := read(ctx)
	if err != nil {
		return 0, err
	}
	probing, stop := context.WithCancel(ctx)
	failed := make([]error, len(probes)+1)
	var group sync.WaitGroup
	for i, p := range probes {
		p.written = nil
		group.Go(func() { failed[i] = p.keepWriting(probing) })
	}
	group.Go(func() {
		for probing.Err() == nil {
			asked := time.Now()
			now, err := read(probing)
			if err != nil {
				failed[len(probes)] = err
				return
			}
			for _, p := range probes {
				p.see(now[p.usageType]-before[p.usageType], asked)
			}
			_ = pause(probing, probeReads)
		}
	})
	rate, err := work(ctx)
	stop()
	group.Wait()
	for _, f := range failed {
		if f != nil && !errors.Is(f, context.Canceled) {
			err = errors.Join(err, f)
		}
	}
	return rate, err
}

func (p *probe) keepWriting(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.write(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.usageType, err)
		}
		p.mu.Lock()
		p.written = append(p.written, time.Now())
		p.mu.Unlock()
		_ = pause(ctx, probeEvery)
	}
	return nil
}

// see takes in an answer that shows so many of the probe's events and was asked for then.
func (p *probe) see(shown int64, asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := time.Duration(0)
	if shown >= 0 && shown < int64(len(p.written)) {
		age = max(asked.Sub(p.written[shown]), 0)
	}
	p.ages.add(age)
}

// line is the probe's line of the table. Its p99 is printed, and the greatest age is what counts.
func (p *probe) line() *readLine {
	most := p.ages.quantile(1)
	l := &readLine{name: p.name, rates: "at most " + millis(most)}
	copyLatencies(&l.ours, &p.ages)
	if p.asked > 0 {
		l.asked = fmt.Sprintf("never %v", p.asked)
		l.missed = most >= p.asked
	}
	return l
}

func copyLatencies(into, from *latencies) {
	for i := range from.counts {
		into.counts[i].Store(from.counts[i].Load())
	}
	into.longest.Store(from.longest.Load())
}
