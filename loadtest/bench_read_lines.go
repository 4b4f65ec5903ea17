package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ninetyDays    = 90 * 24 * time.Hour
	dashboardRest = 250 * time.Millisecond // between two questions of a dashboard beside heavy ones
	apiInstant    = "2006-01-02T15:04:05.999999Z"
	pageLimit     = 100
	engineAtOnce  = 8 // questions: more of them make the engine answer fewer a second
)

// ratioOf returns how many times the other's median ours is; 0 without one.
func ratioOf(ours, other *latencies) float64 {
	if other.quantile(0.5) == 0 {
		return 0
	}
	return float64(ours.quantile(0.5)) / float64(other.quantile(0.5))
}

// agentUsage measures an agent's usage over 90 days, every time another agent and range, so that no
// answer is one that was kept, against a query that reads one row by its primary key.
func (b *readBench) agentUsage(ctx context.Context) error {
	keys, err := b.sample(ctx, "agent_id, toUnixTimestamp64Micro(event_time), event_id")
	if err != nil {
		return err
	}
	l := &readLine{name: "agent usage over 90 days", reference: "engine, one row by primary key"}
	for range b.config.rounds {
		err := times(ctx, &l.ours, b.config.reads.lookups, func(ctx context.Context, _, n int) error {
			to := b.subject.to.Add(-rand.N(200 * 24 * time.Hour)).Truncate(time.Microsecond)
			return b.askAgent(ctx, b.randomAgent(), to.Add(-ninetyDays), to)
		})
		if err != nil {
			return err
		}
		err = times(ctx, &l.other, b.config.reads.lookups, func(ctx context.Context, _, n int) error {
			_, err := b.engine.post(ctx, url.Values{
				"database":           {b.engine.database},
				"param_organization": {b.subject.organization},
				"param_agent":        {keys[n%len(keys)][0]},
				"param_micros":       {keys[n%len(keys)][1]},
				"param_event":        {keys[n%len(keys)][2]},
			}, []byte("SELECT quantity FROM "+ledgerTable+
				" WHERE organization_id = {organization:UUID} AND agent_id = {agent:UUID}"+
				" AND event_time = fromUnixTimestamp64Micro({micros:Int64}, 'UTC')"+
				" AND event_id = {event:UUID} LIMIT 1"))
			return err
		})
		if err != nil {
			return err
		}
	}
	l.ratio = ratioOf(&l.ours, &l.other)
	l.asked = fmt.Sprintf("p50 < %.0f ×", agentUsageTimesMax)
	l.missed = l.ratio >= agentUsageTimesMax
	b.lines = append(b.lines, l)
	return nil
}

// askAgent asks over DigitalOcean's route; a zero to means until now.
func (b *readBench) askAgent(ctx context.Context, agent string, from, to time.Time) error {
	query := url.Values{"start": {from.Format(apiInstant)}}
	if !to.IsZero() {
		query.Set("stop", to.Format(apiInstant))
	}
	_, err := b.get(ctx, b.config.target.token,
		"/v2/gen-ai/agents/"+url.PathEscape(agent)+"/usage", query)
	return err
}

func (b *readBench) randomAgent() string {
	return b.subject.agents[rand.IntN(len(b.subject.agents))]
}

// dashboards measures many who look at few agents, each from 90 days ago until now, against the
// engine's own answers to the same, while probes tell how old an answer is.
func (b *readBench) dashboards(ctx context.Context) error {
	from := b.subject.to.Add(-ninetyDays)
	l := &readLine{
		name: fmt.Sprintf("%d dashboards over %d agents", b.config.reads.dashboards,
			len(b.subject.agents)),
		reference: fmt.Sprintf("engine, the same questions, %d at once", engineAtOnce),
	}
	stored, acked := b.storedProbe(), b.ackedProbe()
	var ours, others []float64
	for range b.config.rounds {
		rate, err := b.probed(ctx, func(ctx context.Context) (float64, error) {
			return crowd(ctx, &l.ours, b.config.reads.dashboards, b.config.duration, 0,
				func(ctx context.Context, _, _ int) error {
					return b.askAgent(ctx, b.randomAgent(), from, time.Time{})
				})
		}, stored, acked)
		if err != nil {
			return err
		}
		ours = append(ours, rate)
		if err := b.rest(ctx); err != nil {
			return err
		}
		rate, err = crowd(ctx, &l.other, engineAtOnce, b.config.duration, 0,
			func(ctx context.Context, _, _ int) error { return b.askEngine(ctx, from) })
		if err != nil {
			return err
		}
		others = append(others, rate)
	}
	l.ratio = median(ours) / median(others)
	l.rates = fmt.Sprintf("%s req/s, the engine %s", rate(median(ours)), rate(median(others)))
	l.asked = fmt.Sprintf("%.0f × the engine's queries a second", dashboardsTimesMin)
	l.missed = l.ratio < dashboardsTimesMin
	b.lines = append(b.lines, l, stored.line(), acked.line())
	return nil
}

// askEngine asks what a dashboard shows, straight from the rollup.
func (b *readBench) askEngine(ctx context.Context, from time.Time) error {
	_, err := b.engine.post(ctx, url.Values{
		"database":           {b.engine.database},
		"param_organization": {b.subject.organization},
		"param_agent":        {b.randomAgent()},
		"param_from":         {strconv.FormatInt(from.Unix(), 10)},
	}, []byte("SELECT usage_type, sum(quantity) FROM agent_usage_15m"+
		" WHERE organization_id = {organization:UUID} AND agent_id = {agent:UUID}"+
		" AND slot >= toDateTime({from:UInt32}, 'UTC') GROUP BY usage_type"))
	return err
}

// year measures a year by day and model against the same from raw events.
func (b *readBench) year(ctx context.Context) error {
	l := &readLine{name: "a year by day and model, one organization", reference: "raw events"}
	end := b.subject.to
	for range b.config.rounds {
		err := times(ctx, &l.ours, b.config.reads.years, func(ctx context.Context, _, n int) error {
			// A day less every time: no answer is one that was kept.
			_, err := b.get(ctx, b.config.target.token, "/v1/usage/query", url.Values{
				"from":        {end.AddDate(-1, 0, n).Format(time.RFC3339)},
				"to":          {end.Format(time.RFC3339)},
				"granularity": {"day"}, "group_by": {"model"},
				"filter.usage_type": {"INPUT"},
			})
			return err
		})
		if err != nil {
			return err
		}
		if err := b.rest(ctx); err != nil {
			return err
		}
		err = times(ctx, &l.other, 1, func(ctx context.Context, _, _ int) error {
			_, err := b.engine.post(ctx, url.Values{
				"database":           {b.engine.database},
				"param_organization": {b.subject.organization},
				"param_from":         {strconv.FormatInt(end.AddDate(-1, 0, 0).Unix(), 10)},
				"param_to":           {strconv.FormatInt(end.Unix(), 10)},
			}, []byte("SELECT toDate(event_time, 'UTC') AS day, model, sum(quantity), "+
				"sum(provider_cost), sum(billed_cost), sum(toInt64(entry)) FROM "+ledgerTable+
				" WHERE organization_id = {organization:UUID} AND usage_type = 'INPUT'"+
				" AND event_time >= toDateTime({from:UInt32}, 'UTC')"+
				" AND event_time < toDateTime({to:UInt32}, 'UTC')"+
				" GROUP BY day, model ORDER BY day, model"))
			return err
		})
		if err != nil {
			return err
		}
	}
	if l.ours.quantile(0.5) > 0 {
		l.ratio = 1 / ratioOf(&l.ours, &l.other)
	}
	l.asked = fmt.Sprintf("%.0f × faster", yearTimesMin)
	l.missed = l.ratio < yearTimesMin
	b.lines = append(b.lines, l)
	return nil
}

// event measures finding one event by its id.
func (b *readBench) event(ctx context.Context) error {
	ids, err := b.sample(ctx, "event_id")
	if err != nil {
		return err
	}
	l := &readLine{name: "one event by its id"}
	for range b.config.rounds {
		err := times(ctx, &l.ours, b.config.reads.lookups, func(ctx context.Context, _, _ int) error {
			id := ids[rand.IntN(len(ids))][0]
			_, err := b.get(ctx, b.config.target.token, "/v1/events/"+id, nil)
			return err
		})
		if err != nil {
			return err
		}
	}
	l.asked = fmt.Sprintf("p50 < %d ms", eventP50Max.Milliseconds())
	l.missed = l.ours.quantile(0.5) >= eventP50Max
	b.lines = append(b.lines, l)
	return nil
}

// sample returns columns of some of the organization's events, spread evenly over all of them.
func (b *readBench) sample(ctx context.Context, columns string) ([][]string, error) {
	each := max(b.subject.events/2000, 1)
	text, err := b.engine.query(ctx, b.engine.database, "SELECT "+columns+" FROM "+ledgerTable+
		" WHERE organization_id = '"+quoteText(b.subject.organization)+"' AND ordinal = 0"+
		" AND revision = 0 AND cityHash64(event_id) % "+strconv.FormatInt(each, 10)+" = 0"+
		" LIMIT 5000 FORMAT TabSeparatedRaw")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for row := range strings.Lines(string(text)) {
		rows = append(rows, strings.Fields(row))
	}
	if len(rows) == 0 {
		return nil, errors.New("no event found")
	}
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows, nil
}

// pages measures the usage tracker's list at its first page, deep in it, and at its end.
func (b *readBench) pages(ctx context.Context) error {
	if b.config.reads.trackerToken == "" {
		b.notes = append(b.notes, "Pages were not measured: no --tracker-token.")
		return nil
	}
	records, err := b.engine.number(ctx, b.engine.database,
		"SELECT max(n) FROM (SELECT sum(events) AS n FROM billable_hourly "+
			"WHERE usage_type = 'UNITS' GROUP BY organization_id)")
	if err != nil {
		return err
	}
	var first *readLine
	for _, skip := range []int64{0, 100_000, max(records-pageLimit, 0)} {
		if skip > max(records-pageLimit, 0) {
			continue
		}
		l := &readLine{name: fmt.Sprintf("GET /usage?skip=%s&limit=%d of %s records",
			thousands(skip), pageLimit, thousands(records))}
		for range b.config.rounds {
			err := times(ctx, &l.ours, max(b.config.reads.lookups/10, 1),
				func(ctx context.Context, _, n int) error {
					// Another page every time: no answer is one that was kept.
					return b.askPage(ctx, max(skip-int64(n), 0), pageLimit-n%10)
				})
			if err != nil {
				return err
			}
		}
		if first == nil {
			first = l
		} else {
			l.reference = "the first page"
			l.ratio = ratioOf(&l.ours, &first.ours)
			l.asked = fmt.Sprintf("p50 < %.0f ×", pagesTimesMax)
			l.missed = l.ratio >= pagesTimesMax
		}
		b.lines = append(b.lines, l)
	}
	return nil
}

func (b *readBench) askPage(ctx context.Context, skip int64, limit int) error {
	body, err := b.get(ctx, b.config.reads.trackerToken, "/usage", url.Values{
		"skip": {strconv.FormatInt(skip, 10)}, "limit": {strconv.Itoa(limit)},
	})
	if err != nil {
		return err
	}
	var page []json.RawMessage
	if err := json.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if len(page) == 0 {
		return fmt.Errorf("the page at %d is empty: is --tracker-token of that organization?", skip)
	}
	return nil
}

// heavy measures dashboards that ask four times a second, alone and while others ask heavily.
func (b *readBench) heavy(ctx context.Context) error {
	from := b.subject.to.Add(-ninetyDays)
	ask := func(ctx context.Context, _, _ int) error {
		return b.askAgent(ctx, b.randomAgent(), from, time.Time{})
	}
	l := &readLine{
		name: fmt.Sprintf("%d dashboards beside %d heavy questions (a year by user and endpoint)",
			b.config.reads.dashboards, b.config.reads.heavy),
		reference: "the same alone",
	}
	var done, late atomic.Int64
	for range b.config.rounds {
		_, err := crowd(ctx, &l.other, b.config.reads.dashboards, b.config.duration, dashboardRest,
			ask)
		if err != nil {
			return err
		}
		heavy, stop := context.WithCancelCause(ctx)
		var group sync.WaitGroup
		var failed error
		var once sync.Once
		for worker := range b.config.reads.heavy {
			group.Go(func() {
				err := b.askHeavily(heavy, worker, &done, &late)
				if err != nil && heavy.Err() == nil {
					once.Do(func() { failed = err })
				}
			})
		}
		_, err = crowd(ctx, &l.ours, b.config.reads.dashboards, b.config.duration, dashboardRest, ask)
		stop(nil)
		group.Wait()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if err := b.rest(ctx); err != nil {
			return err
		}
	}
	if alone := l.other.quantile(0.99); alone > 0 {
		l.ratio = float64(l.ours.quantile(0.99)) / float64(alone)
		l.rates = "ratio of p99"
	}
	b.notes = append(b.notes, fmt.Sprintf("Beside the dashboards %d heavy questions were answered "+
		"and %d told to come later.", done.Load(), late.Load()))
	b.lines = append(b.lines, l)
	return nil
}

// askHeavily asks for a year by user and endpoint until it is stopped, and waits where it is told
// to come later.
func (b *readBench) askHeavily(
	ctx context.Context, worker int, done, late *atomic.Int64,
) error {
	for n := 0; ctx.Err() == nil; n++ {
		_, err := b.get(ctx, b.config.target.token, "/v1/usage/query", url.Values{
			"from":        {b.subject.to.AddDate(-1, 0, n%20).Format(time.RFC3339)},
			"to":          {b.subject.to.AddDate(0, 0, -worker).Format(time.RFC3339)},
			"granularity": {"month"}, "group_by": {"user_id,endpoint"},
			"filter.usage_type": {"OUTPUT"},
		})
		switch {
		case err == nil:
			done.Add(1)
		case refused(err):
			late.Add(1)
			_ = pause(ctx, dashboardRest)
		default:
			return err
		}
	}
	return nil
}
