package billing

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	outcomesMax = 500         // are written together
	outcomesAge = time.Second // and no later than this after the first, while calls are made

	tiredAfter  = 3  // tries in a row without a word of a customer's deliveries: the rest waits
	silentAfter = 10 // of different customers, in a row: Stripe is away
)

// silence is how many deliveries in a row got no answer at all, and whose.
type silence struct {
	deliveries int
	of         map[string]bool
	customers  int            // of the round
	tired      map[string]int // tries in a row that say nothing, by customer, in this pass
}

// queue is what has to be sent one after the other: Stripe takes one call at a time of a customer
// and meter.
type queue struct {
	customer string
	jobs     []job
}

// deliver makes what is open known to Stripe, many customers at once, each meter of each in the
// order of its hours. It returns when all calls have ended; what they came to is written by then.
// Calls end the pass together, and leave nothing behind but outcomes: one customer's troubles are
// its own.
func (p *pass) deliver(ctx context.Context, jobs []job, seen time.Time) error {
	all := p.queues(jobs)
	todo := make(chan *queue, len(all))
	for _, q := range all {
		todo <- q
	}
	close(todo)
	var workers sync.WaitGroup
	for range min(p.cfg.Workers, len(all)) {
		workers.Go(func() {
			for q := range todo {
				p.drain(ctx, q, seen)
			}
		})
	}
	workers.Wait()
	if p.err != nil {
		return p.err
	}
	return p.flush(ctx)
}

// queues sorts jobs by customer and meter.
func (p *pass) queues(jobs []job) []*queue {
	type key struct{ customer, meter string }
	known, customers := map[key]*queue{}, map[string]bool{}
	var all []*queue
	for _, j := range jobs {
		k := key{j.slot.Open.Customer, j.slot.Slot.Meter}
		q := known[k]
		if q == nil {
			q = &queue{customer: k.customer}
			known[k] = q
			all = append(all, q)
		}
		q.jobs = append(q.jobs, j)
		customers[k.customer] = true
	}
	p.silence.customers = len(customers)
	if p.silence.tired == nil {
		p.silence.tired, p.silence.of = map[string]int{}, map[string]bool{}
	}
	return all
}

// drain works a queue off, until it says nothing any more or the pass has to end.
func (p *pass) drain(ctx context.Context, q *queue, seen time.Time) {
	for _, j := range q.jobs {
		if p.over() || p.tired(q.customer) || ctx.Err() != nil {
			return
		}
		if !p.doJob(ctx, j, seen) {
			return
		}
		if err := p.flushOld(ctx); err != nil {
			p.fail(err)
			return
		}
	}
}

// doJob does one job. False: no other may be begun.
func (p *pass) doJob(ctx context.Context, j job, seen time.Time) bool {
	if j.task == abandon {
		p.note(j, schema.Abandoned, Answer{Detail: "Stripe takes no more of its hour: " +
			"what is missing is carried when the period is invoiced"})
		return true
	}
	if err := p.pause(ctx); err != nil {
		p.fail(errStopped)
		return false
	}
	if p.over() {
		return false
	}
	if j.task == settle {
		return p.settleBySums(ctx, j)
	}
	if err := p.step(stepSend); err != nil {
		p.fail(err)
		return false
	}
	// A process that was stopped in between would send what somebody else has replaced since.
	if p.now().Sub(seen) > roundMax {
		p.mu.Lock()
		p.again = true
		p.mu.Unlock()
		return false
	}
	a := p.cfg.Stripe.Send(ctx, deliveryOf(j.slot.Open))
	if err := p.step(stepSent); err != nil {
		p.fail(err)
		return false
	}
	p.take(ctx, j, a)
	return true
}

// take draws the conclusions of an answer.
func (p *pass) take(ctx context.Context, j job, a Answer) {
	verdict := verdictOf(j.slot.Open, a)
	p.metrics.called(verdict)
	if ctx.Err() == nil {
		p.listen(j.slot.Open.Customer, verdict, a)
	}
	if a.Ends != 0 {
		p.end(a)
	}
	if verdict == schema.NotSent {
		p.mark(j.slot.Slot, failed)
		return
	}
	p.note(j, verdict, a)
	switch verdict {
	case schema.KeyConflict:
		p.alert("conflict", j.slot.Slot, "Stripe has another value under the key of revision "+
			j.slot.Open.Identifier+": compare it with what Stripe's log of requests shows")
	case schema.Rejected:
		p.mu.Lock()
		p.rejected++
		first := p.rejected == 1
		p.mu.Unlock()
		if first {
			p.cfg.Logger.Warn("Stripe refused a slot, it rests and is tried again",
				"slot", j.slot.Slot.String(), "detail", a.Detail)
		}
	}
}

// listen counts who says nothing. Ten deliveries in a row without any answer, of ten customers or
// of all there are, mean that Stripe is away; of fewer customers, that it is something of theirs.
func (p *pass) listen(customer string, verdict schema.Verdict, a Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.silence
	switch verdict {
	case schema.Unknown, schema.Rotate:
		s.tired[customer]++
	default:
		delete(s.tired, customer)
	}
	if !a.Silent {
		s.deliveries = 0
		clear(s.of)
		return
	}
	s.deliveries++
	s.of[customer] = true
	if s.deliveries >= silentAfter && len(s.of) >= min(silentAfter, s.customers) && p.run.End == 0 {
		p.run.End = schema.RunUnreachable
		p.run.Detail = "no answer for one customer after the other: " + a.Detail
	}
}

// tired reports whether a customer's deliveries wait for another pass.
func (p *pass) tired(customer string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silence.tired[customer] >= tiredAfter
}

// end ends the pass as an answer says. That the key is refused outdoes the rest.
func (p *pass) end(a Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = max(p.asked, a.RetryAfter)
	if p.run.End == 0 || a.Ends == schema.RunHalted {
		p.run.End, p.run.Detail = a.Ends, a.Detail
	}
}

func (p *pass) mark(s schema.Slot, f fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[s] = f
}

// note keeps what came of a revision until it is written.
func (p *pass) note(j job, verdict schema.Verdict, a Answer) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case verdict.Delivered():
		p.slots[j.slot.Slot] = told
		p.run.Sent++
		p.again = p.again || j.behind()
	case verdict == schema.Abandoned && j.slot.Sendable:
		p.slots[j.slot.Slot], p.again = left, true // the next revision takes its place
	default:
		p.slots[j.slot.Slot] = failed
	}
	if len(p.outcomes) == 0 {
		p.noted = now
	}
	p.outcomes = append(p.outcomes, schema.Outcome{
		Slot: j.slot.Slot, Revision: j.slot.Open.Revision, Verdict: verdict,
		KeyGeneration: uint16(min(j.slot.Open.Rotations, math.MaxUint16)),
		At:            now, Writer: p.cfg.Writer,
		HTTPStatus: a.HTTPStatus, RequestID: a.RequestID, Detail: a.Detail,
	})
}

// flushOld writes outcomes once there are many, or one is old.
func (p *pass) flushOld(ctx context.Context) error {
	p.mu.Lock()
	wait := len(p.outcomes) == 0 ||
		len(p.outcomes) < outcomesMax && p.now().Sub(p.noted) < outcomesAge
	p.mu.Unlock()
	if wait {
		return nil
	}
	return p.flush(ctx)
}

// flush writes the outcomes there are, though ctx may have ended. Those that cannot be written are
// kept for the end of the pass. Should they be lost, nothing is: their revisions are sent again
// under the same names, and Stripe says that it has them.
func (p *pass) flush(ctx context.Context) error {
	p.mu.Lock()
	group := p.outcomes
	p.outcomes = nil
	p.mu.Unlock()
	if len(group) == 0 {
		return nil
	}
	if err := p.step(stepOutcomes); err != nil {
		return err
	}
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := p.cfg.Queries.InsertOutcomes(writing, group); err != nil {
		p.mu.Lock()
		p.outcomes = append(group, p.outcomes...)
		p.mu.Unlock()
		p.cfg.Logger.Warn("outcomes could not be written, what they tell of may be sent again",
			"outcomes", len(group), "error", err)
		return err
	}
	return p.step(stepNoted)
}

// settleBySums asks Stripe's own sums what became of a revision that is not sent again. False: no
// other job may be begun.
func (p *pass) settleBySums(ctx context.Context, j job) bool {
	r := j.slot.Open
	meter, err := j.to.stripeID, error(nil)
	if meter == "" {
		meter, err = p.cfg.Stripe.MeterID(ctx, r.Slot.Meter)
	}
	var buckets []Bucket
	if err == nil {
		buckets, err = p.cfg.Stripe.Summaries(ctx, SummaryParams{
			Meter: meter, Customer: r.Customer, From: r.Slot.Start, To: r.Slot.End(),
		})
	}
	if err != nil {
		var f *Failure
		if !errors.As(err, &f) {
			f = &Failure{Answer: Answer{Detail: err.Error()}}
		}
		if f.Answer.Ends != 0 {
			p.end(f.Answer)
			return false
		}
		p.note(j, schema.Unknown, Answer{
			HTTPStatus: f.Answer.HTTPStatus, RequestID: f.Answer.RequestID,
			Detail: "not settled: " + f.Answer.Detail,
		})
		return ctx.Err() == nil
	}
	has := int64(0)
	for _, b := range buckets {
		has += b.Units
	}
	verdict, wrong := settledBy(j.slot, has)
	if wrong != "" {
		p.alert("unsettled", j.slot.Slot, wrong)
	}
	p.note(j, verdict, Answer{Detail: wrong})
	return true
}
