package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

const quarterHour = 15 * time.Minute

// A singleWork is a way to write one event.
type singleWork struct {
	name     string
	title    string
	path     string
	body     func(dst []byte) []byte
	event    usage // what one event adds
	ratioMin float64
	p99Max   time.Duration
}

func (b *bench) singleWork(name string) singleWork {
	labels := newEventWriter(b.config.provider, b.config.model).labels
	work := singleWork{name: name, path: "/v1/events", event: usage{"INPUT": 1200, "OUTPUT": 350}}
	const tail = `,"usage":{"INPUT":1200,"OUTPUT":350}}`
	switch name {
	case "raia":
		work.title = "single-event writes, raia, durable ack"
		work.path = "/external/resource-usage"
		work.event = usage{"OPENAI_TOKENS": 4567}
		work.ratioMin, work.p99Max = singleRatioMin, singleP99Max
		work.body = func(dst []byte) []byte {
			return append(dst, `{"type":"OPENAI_TOKENS","amount":4567}`...)
		}
	case "native":
		work.title = "single-event writes, native, durable ack"
		work.ratioMin, work.p99Max = singleRatioMin, singleP99Max
		work.body = func(dst []byte) []byte {
			dst = append(dst, '{')
			dst = append(dst, labels[1:]...) // without their first comma
			return append(dst, tail...)
		}
	default:
		work.title = "single-event writes, native with a key, durable ack"
		work.body = func(dst []byte) []byte {
			dst = append(append(dst, `{"id":"`...), b.config.run...)
			dst = strconv.AppendInt(append(dst, '-'), b.serial.Add(1), 10)
			dst = append(append(dst, '"'), labels...)
			return append(dst, tail...)
		}
	}
	return work
}

// single measures single-event writes against the bare reference, the sides taking turns.
func (b *bench) single(ctx context.Context, name string) (lines []*line, err error) {
	work := b.singleWork(name)
	child, err := startBare(b.con)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := child.stop(); err == nil && stopped != nil {
			err = fmt.Errorf("bare: %w", stopped)
		}
	}()
	l := &line{
		name: work.title, unit: "req/s", reference: "bare fiber",
		ratioMin: work.ratioMin, p99Max: work.p99Max,
	}
	bare := b.blast(work, child.base)
	ours := b.blast(work, b.config.target.base)
	// Connections, caches and buffers are warm before the first round counts.
	warm := *bare
	warm.duration = min(time.Second, bare.duration)
	if _, _, err := b.blastShown(ctx, &warm, "warming the reference", new(latencies)); err != nil {
		return nil, err
	}
	warm = *ours
	warm.duration = min(time.Second, ours.duration)
	if _, err := b.ourSingle(ctx, work, &warm, new(latencies)); err != nil {
		return nil, err
	}
	for round := range b.config.rounds {
		if err := b.rest(ctx); err != nil {
			return nil, err
		}
		reference, other, err := b.blastShown(ctx, bare, name+": reference", &l.otherLatency)
		if err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		if err := b.rest(ctx); err != nil {
			return nil, err
		}
		result, err := b.ourSingle(ctx, work, ours, &l.latency)
		if err != nil {
			return nil, err
		}
		l.others = append(l.others, other)
		l.ours = append(l.ours, result.rate())
		l.refused += result.refused + reference.refused
		b.note("%s round %d of %d: %s req/s, reference %s req/s, ratio %.2f", name, round+1,
			b.config.rounds, rate(result.rate()), rate(other), result.rate()/other)
	}
	return []*line{l}, nil
}

func (b *bench) blast(work singleWork, base string) *blast {
	secrets := make([]string, len(b.config.target.agents))
	for i, a := range b.config.target.agents {
		secrets[i] = a.secret
	}
	return &blast{
		base: base, path: work.path, connections: b.config.connections,
		duration: b.config.duration, timeout: b.config.target.timeout,
		// Connections share secrets evenly, or some agents would get none.
		secrets: secrets[:min(len(secrets), b.config.connections)], body: work.body,
	}
}

// blastShown runs a blast and shows how it goes.
func (b *bench) blastShown(
	ctx context.Context, blast *blast, what string, l *latencies,
) (*blasted, float64, error) {
	var done atomic.Int64
	m := meter{at: time.Now()}
	shown := startProgress(b.con.errs, b.con.terminal, progressEvery(b.con.terminal),
		func() string {
			count := done.Load()
			return fmt.Sprintf("%s: %s req/s, %d requests",
				what, rate(m.update(time.Now(), count)), count)
		})
	result, err := blast.run(ctx, l, &done)
	shown.stop()
	if err != nil {
		return nil, 0, err
	}
	return result, result.rate(), nil
}

// ourSingle runs a blast against Meterhouse and waits until exactly what was acknowledged can be
// read. An acknowledged event that is not, or an unsent one that is, fails the run.
func (b *bench) ourSingle(
	ctx context.Context, work singleWork, blast *blast, l *latencies,
) (*blasted, error) {
	now := time.Now()
	// Whole quarter hours: reading them costs the server nothing that would disturb.
	from := now.Add(-2 * time.Second).Truncate(quarterHour).UTC()
	to := now.Add(blast.duration + 2*time.Minute).Truncate(quarterHour).
		Add(quarterHour - time.Microsecond).UTC()
	checks := b.agentChecks(len(blast.secrets), from, to)
	if err := readBefore(ctx, checks, b.config.wait); err != nil {
		return nil, err
	}
	result, _, err := b.blastShown(ctx, blast, work.name, l)
	if err != nil {
		return nil, err
	}
	for i, count := range result.answered {
		for kind, quantity := range work.event {
			checks[i].sent[kind] = count * quantity
		}
	}
	_, err = b.awaitExact(ctx, checks)
	return result, err
}

// agentChecks returns a check of each of the first agents' usage in from to to, whose sent is
// yet to be set.
func (b *bench) agentChecks(agents int, from, to time.Time) []*check {
	r := &reader{client: b.reads, token: b.config.target.token}
	var checks []*check
	for _, a := range b.config.target.agents[:agents] {
		checks = append(checks, &check{
			source: "DigitalOcean", subject: a.id, sent: usage{},
			read: func(ctx context.Context) (usage, error) {
				return r.digitalOcean(ctx, a.id, from, to)
			},
		})
	}
	return checks
}

// awaitExact waits until every check is equal and returns when that was seen; an error says that
// one is not.
func (b *bench) awaitExact(ctx context.Context, checks []*check) (time.Time, error) {
	visible, err := awaitEqual(ctx, b.con, checks, b.config.wait)
	if err != nil {
		return visible, err
	}
	if wrong := unequal(checks); wrong > 0 {
		printDifferences(b.con.out, checks)
		return visible, fmt.Errorf("%d of %d agents' sums are not what was acknowledged",
			wrong, len(checks))
	}
	return visible, nil
}
