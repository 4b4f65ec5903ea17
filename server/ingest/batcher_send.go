package ingest

import (
	"context"
	"time"
)

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
		err := b.insert(token, f)
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

func (b *batcher) insert(token string, f *batch) error {
	ctx, cancel := context.WithTimeout(b.ctx, b.in.cfg.InsertTimeout)
	defer cancel()
	began := time.Now()
	if err := b.in.cfg.Store.InsertEvents(ctx, token, f.rows); err != nil {
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
