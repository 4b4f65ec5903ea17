package ingest

import (
	"context"
	"math"
	"time"

	"github.com/meterhouse/meterhouse/queries"
)

// unsaid is how far what a node stored beyond its last word was looked at.
type unsaid struct {
	word  time.Time // when it was said
	after uint64
	done  bool
}

// lastInsert is how long after its timeout an insert whose client died may still be stored.
const lastInsert = 20 * time.Second

// silent reports whether a node has said nothing for so long that no insert of its is under way: it
// died, and may have stored what it did not live to say.
func (p *peers) silent(n queries.Node, now time.Time) bool {
	return !n.Stopped && now.Sub(n.SaidAt) >= p.in.cfg.InsertTimeout+lastInsert
}

// learnUnsaid learns what a node that is silent stored beyond its last word, once. Nothing counts as
// learned up to there: batches are stored two at a time, and the node may come back with the first.
func (p *peers) learnUnsaid(ctx context.Context, n queries.Node, progress *learning) error {
	u := p.unsaid[n.ID]
	if !u.word.Equal(n.SaidAt) {
		u = unsaid{word: n.SaidAt, after: n.Stored}
	}
	for !u.done {
		rows, err := p.page(ctx, queries.NodeKeysParams{
			Node: n.ID, After: u.after, To: math.MaxUint64, Limit: keysPageMax,
		})
		if err != nil {
			return err
		}
		p.take(n.ID, p.in.keys.Learned(n.ID), rows, progress.again)
		if len(rows) > 0 {
			u.after = rows[len(rows)-1].Sequence
		}
		u.done = len(rows) < keysPageMax
		p.unsaid[n.ID] = u
	}
	return nil
}
