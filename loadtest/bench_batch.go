package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	blockRows = 50_000 // of a reference insert
	// Events of batches happen in two whole quarter hours that are over: reading them costs the
	// server little, and no other line of the benchmark writes there.
	batchSpan = 2 * quarterHour
)

// A batchWork is a way to write many events.
type batchWork struct {
	name   string
	title  string
	format string
	keyed  bool
}

func batchWorkOf(name string) batchWork {
	work := batchWork{name: name, format: formatNDJSON}
	switch name {
	case "batch-array":
		work.title = "batch writes, JSON array, until visible"
		work.format = formatArray
	case "batch-ndjson-key":
		work.title = "batch writes, NDJSON with keys, until visible"
		work.keyed = true
	default:
		work.title = "batch writes, NDJSON, until visible"
	}
	return work
}

// A batchRequest is one request, written before the clock starts.
type batchRequest struct {
	agent int
	body  []byte
	kind  string
}

// batches measures batch writes against inserting the same rows into the engine, the sides
// taking turns.
func (b *bench) batches(ctx context.Context, name string) (lines []*line, err error) {
	work := batchWorkOf(name)
	l := &line{name: work.title, unit: "events/s", reference: "engine, pre-encoded"}
	fixed := &line{
		name: "the same, against OpenMeter's stored events", unit: "events/s",
		reference: "tuned, 2 cores, not in this run", ratioMin: openMeterStoredMin,
	}
	if !work.keyed {
		l.ratioMin = batchRatioMin
	}
	if _, err := b.ourBatches(ctx, work, b.config.events/5, new(latencies)); err != nil {
		return nil, fmt.Errorf("warming: %w", err)
	}
	var block *referenceBlock
	if b.engine != nil {
		// A run that was cancelled must drop its database all the same.
		defer func() { err = errors.Join(err, b.engine.dropScratch(context.WithoutCancel(ctx))) }()
		if block, err = b.prepareReference(ctx, name); err != nil {
			return nil, err
		}
	}
	for round := range b.config.rounds {
		if err := b.rest(ctx); err != nil {
			return nil, err
		}
		ours, err := b.ourBatches(ctx, work, b.config.events, &l.latency)
		if err != nil {
			return nil, err
		}
		l.ours = append(l.ours, ours)
		fixed.ours = append(fixed.ours, ours)
		fixed.others = append(fixed.others, openMeterStored)
		text := fmt.Sprintf("%s round %d of %d: %s events/s", name, round+1, b.config.rounds,
			rate(ours))
		if block != nil {
			if err := b.rest(ctx); err != nil {
				return nil, err
			}
			other, err := b.referenceRound(ctx, block, name, round)
			if err != nil {
				return nil, fmt.Errorf("reference: %w", err)
			}
			l.others = append(l.others, other)
			text += fmt.Sprintf(", reference %s rows/s, ratio %.2f", rate(other), ours/other)
		}
		b.note("%s", text)
	}
	if name == "batch-ndjson" {
		return []*line{l, fixed}, nil
	}
	return []*line{l}, nil
}

// ourBatches sends so many events in batches and returns how many a second became visible, from
// the first byte sent until a read over the API shows all of them.
func (b *bench) ourBatches(
	ctx context.Context, work batchWork, events int, l *latencies,
) (float64, error) {
	from := time.Now().Truncate(quarterHour).Add(-batchSpan - quarterHour).UTC()
	agents := min(len(b.config.target.agents), max(events/b.config.batch, 1))
	checks := b.agentChecks(agents, from, from.Add(batchSpan-time.Microsecond))
	requests := b.writeBatches(work, max(events/b.config.batch, 1), from, checks)
	if err := readBefore(ctx, checks, b.config.wait); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := b.sendBatches(ctx, work, requests, l); err != nil {
		return 0, err
	}
	acked := time.Since(began)
	visible, err := b.awaitExact(ctx, checks)
	if err != nil {
		return 0, err
	}
	sent := len(requests) * b.config.batch
	b.note("  %s events acknowledged at %s/s, visible after another %v", thousands(int64(sent)),
		perSecond(int64(sent), acked), (visible.Sub(began) - acked).Round(time.Millisecond))
	return float64(sent) / visible.Sub(began).Seconds(), nil
}

// writeBatches writes the requests and adds up what they hold in the agents' checks.
func (b *bench) writeBatches(
	work batchWork, count int, from time.Time, checks []*check,
) []batchRequest {
	labels := newEventWriter(b.config.provider, b.config.model).labels
	purposes := []string{"QA", "DT", "IE"}
	requests := make([]batchRequest, count)
	spacing := batchSpan / time.Duration(count*b.config.batch+1)
	for i := range requests {
		agent := i % len(checks)
		appendEvent := func(dst []byte, k int) []byte {
			n := i*b.config.batch + k
			quantity := int64(1 + n%1999)
			checks[agent].sent["INPUT"] += quantity
			dst = append(dst, '{')
			if work.keyed {
				dst = append(append(dst, `"id":"`...), b.config.run...)
				dst = strconv.AppendInt(append(dst, '-'), b.serial.Add(1), 10)
				dst = append(dst, `",`...)
			}
			dst = append(dst, `"time":"`...)
			dst = from.Add(time.Duration(n)*spacing).AppendFormat(dst, eventTime)
			dst = append(append(dst, `","api_name":"`...), b.config.run...)
			dst = append(append(dst, `","purpose":"`...), purposes[n%len(purposes)]...)
			dst = append(append(dst, '"'), labels...)
			dst = append(dst, `,"usage":{"INPUT":`...)
			return append(strconv.AppendInt(dst, quantity, 10), "}}"...)
		}
		body, kind := appendBatch(nil, work.format, b.config.batch, appendEvent)
		requests[i] = batchRequest{agent: agent, body: body, kind: kind}
	}
	return requests
}

// sendBatches sends every request until it is acknowledged.
func (b *bench) sendBatches(
	ctx context.Context, work batchWork, requests []batchRequest, l *latencies,
) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	c := newClient(b.config.target.base, b.config.batchConnections, b.config.target.timeout)
	defer c.close()
	var next, acked atomic.Int64
	m := meter{at: time.Now()}
	shown := startProgress(b.con.errs, b.con.terminal, progressEvery(b.con.terminal),
		func() string {
			count := acked.Load()
			return fmt.Sprintf("%s: %s events/s, %d of %d acknowledged", work.name,
				rate(m.update(time.Now(), count)), count, len(requests)*b.config.batch)
		})
	var group sync.WaitGroup
	for range b.config.batchConnections {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				if err := b.sendBatch(ctx, c, work, requests[i], l); err != nil {
					fail(err)
					return
				}
				acked.Add(int64(b.config.batch))
			}
		})
	}
	group.Wait()
	shown.stop()
	return context.Cause(ctx)
}

func (b *bench) sendBatch(
	ctx context.Context, c *client, work batchWork, request batchRequest, l *latencies,
) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(c.base + "/v1/events")
	req.Header.SetMethod(http.MethodPost)
	req.Header.SetContentType(request.kind)
	req.Header.Set("Agent-Secret-Key", b.config.target.agents[request.agent].secret)
	req.SetBodyRaw(request.body)
	began := time.Now()
	tried, err := c.send(ctx, req, resp, b.config.wait)
	if err != nil {
		return err
	}
	l.add(time.Since(began))
	if tried.unknown > 0 && !work.keyed {
		return errors.New("a connection broke: without keys it is unknown what was counted")
	}
	_, err = decodeEventsAnswer(resp.StatusCode(), resp.Body(), b.config.batch)
	return err
}

// A referenceBlock is rows of the server's own ledger in format Native.
type referenceBlock struct {
	native []byte
	rows   int64
}

// prepareReference makes the scratch tables and takes a block of rows that this run has just
// written, so that both sides store the same rows.
func (b *bench) prepareReference(ctx context.Context, name string) (*referenceBlock, error) {
	if err := b.engine.copySchema(ctx); err != nil {
		return nil, err
	}
	// The order of arrival, not of the sort key: sorting is part of an insert.
	from := " FROM " + ledgerTable + " WHERE api_name = '" + b.config.run + "'" +
		" ORDER BY node, sequence LIMIT " + strconv.Itoa(blockRows)
	rows, err := b.engine.number(ctx, b.engine.database,
		"SELECT count() FROM (SELECT 1"+from+")")
	if err != nil {
		return nil, err
	}
	if rows == 0 {
		return nil, errors.New("reference: the engine has no row of this run: " +
			"is it the engine of the server under test?")
	}
	native, err := b.engine.query(ctx, b.engine.database, "SELECT *"+from+" FORMAT Native")
	if err != nil {
		return nil, err
	}
	block := &referenceBlock{native: native, rows: rows}
	token := b.config.run + "-" + name + "-warm"
	if err := b.engine.insert(ctx, ledgerTable, token, native); err != nil {
		return nil, err
	}
	return block, nil
}

// referenceRound inserts the block until as many rows are stored as a round of ours has, and
// returns the rows a second. An insert answers when its rows are visible.
func (b *bench) referenceRound(
	ctx context.Context, block *referenceBlock, name string, round int,
) (float64, error) {
	const count = "SELECT count() FROM " + ledgerTable
	before, err := b.engine.number(ctx, scratchDatabase, count)
	if err != nil {
		return 0, err
	}
	inserts := max(int64(b.config.events)/block.rows, 1)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for range b.engine.connections {
		group.Go(func() {
			for i := next.Add(1); i <= inserts && ctx.Err() == nil; i = next.Add(1) {
				token := fmt.Sprintf("%s-%s-%d-%d", b.config.run, name, round, i)
				if err := b.engine.insert(ctx, ledgerTable, token, block.native); err != nil {
					fail(err)
				}
			}
		})
	}
	group.Wait()
	elapsed := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	after, err := b.engine.number(ctx, scratchDatabase, count)
	if err != nil {
		return 0, err
	}
	if added := after - before; added != inserts*block.rows {
		return 0, fmt.Errorf("%d rows inserted, %d stored", inserts*block.rows, added)
	}
	return float64(inserts*block.rows) / elapsed.Seconds(), nil
}
