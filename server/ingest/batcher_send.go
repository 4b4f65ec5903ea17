package ingest

import (
	"context"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

// tokenTrust is how long ClickHouse surely remembers the token of a batch: a table keeps the newest
// 10,000 in all, one for each month in a batch. Old events of 14 months, from a few nodes at once, are
// 50 a second.
const tokenTrust = 3 * time.Minute

// send inserts a batch whose bounds are fixed, trying until it is stored or set aside.
func (b *batcher) send(f *batch) {
	if b.in.gate.Enter(b.ctx) != nil {
		return
	}
	defer b.in.gate.Leave()
	token := b.token(f)
	doubt := doubt{batcher: b}
	var poison error
	if !b.retry("insert a batch", func() error {
		doubt.begin()
		err := b.try(f, token)
		if doubt.proven(err) {
			poison, err = err, nil
		}
		return err
	}) {
		return
	}
	if poison != nil && !b.retry("set a batch aside", func() error {
		return b.setAside(f, token, poison)
	}) {
		return
	}
	b.ended <- f
}

// try inserts a batch once.
func (b *batcher) try(f *batch, token string) error {
	// What was noted after now was noted by a clock that has gone back since.
	age := b.in.cfg.Now().Sub(f.answered)
	defer func() { f.tried = time.Now() }()
	if b.in.cfg.Ledger != nil && age.Abs() > tokenTrust {
		return b.sendLate(f, token)
	}
	err := b.insert(token, f)
	switch {
	case !queries.Answered(err):
		f.unsure = true
	case !f.unsure:
		f.answered = b.in.cfg.Now()
	}
	return err
}

// sendLate sends a batch that may have been inserted so long ago that its token is forgotten: what
// the ledger has of it is not sent again.
func (b *batcher) sendLate(f *batch, token string) error {
	var entries []entry
	for index := f.from; index <= f.to; index++ {
		e, _, err := b.in.log.read(index)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	l := late{
		node: b.in.Node(), first: f.first, last: f.last, token: token, entries: entries,
		timeout: b.in.cfg.InsertTimeout,
	}
	if !b.in.log.asked(f.from) { // a ledger that was restored since hears of no earlier try
		l.settled = b.opened.Add(l.timeout)
		if !f.tried.IsZero() {
			l.settled = f.tried.Add(l.timeout)
		}
	}
	found, err := storeLate(b.ctx, b.in.cfg.Ledger, l)
	if err != nil {
		return err
	}
	if uint64(found.Events) < l.events() { // else ClickHouse was given nothing to take
		b.accepted.Add(1)
	}
	if found.Events > 0 {
		from, to := found.Days()
		b.in.cfg.Logger.Error("the ledger had a batch whose insert was never answered; whether the "+
			"rollups have it `meterhouse verify` says, and `meterhouse rebuild` mends them",
			"events", found.Events, "from", from, "to", to)
	}
	return nil
}

func (b *batcher) insert(token string, f *batch) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.in.cfg.InsertTimeout)
	defer cancel()
	began := time.Now()
	ctx, span := b.traceBatch(ctx, f)
	err := b.in.cfg.Store.InsertEvents(ctx, token, f.rows)
	endSpan(span, err)
	if err != nil {
		return err
	}
	took := time.Since(began)
	b.accepted.Add(1)
	b.in.metrics.batches.Inc()
	b.in.metrics.batchRows.Observe(float64(f.rows.Rows()))
	b.in.metrics.insert.Observe(took.Seconds())
	return nil
}

// retry tries until it succeeds; false when the batcher was told to end. A failure is logged when
// it is news and counted always.
func (b *batcher) retry(what string, try func() error) bool {
	wait := newBackoff(100*time.Millisecond, 5*time.Second)
	said := ""
	for {
		err := try()
		if err == nil {
			if said != "" {
				b.in.cfg.Logger.Info("batcher goes on", "step", what)
			}
			return true
		}
		if b.ctx.Err() != nil {
			return false
		}
		b.in.metrics.insertFailures.Inc()
		if said != err.Error() {
			said = err.Error()
			b.in.cfg.Logger.Warn("batcher will try again", "step", what, "error", err)
		}
		select {
		case <-time.After(wait.next()):
		case <-b.ctx.Done():
			return false
		}
	}
}
