package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// keysPageMax bounds the keys that are in memory between ClickHouse and the store.
const keysPageMax = 50_000

// doubledMax bounds the events that wait to be swept. Beyond it nothing more is learned.
const doubledMax = 100_000

var errUnswept = errors.New("too many events wait to be swept")

// learner learns what the others accepted, each time they were heard.
func (p *peers) learner(ctx context.Context) {
	failing := false
	for {
		select {
		case standing := <-p.standing:
			err := p.learn(ctx, standing)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil && !failing:
				p.in.cfg.Logger.Warn("keys of other nodes were not learned, trying again",
					"error", err)
			case err == nil && failing:
				p.in.cfg.Logger.Info("the keys of other nodes are known again")
			}
			failing = err != nil
		case <-ctx.Done():
			return
		}
	}
}

// learn makes the keys known that the nodes said to have stored. Where keys of this node were lost,
// its own log's are learned as well. The others' words are as old as the oldest of those who may
// run: what they stored since will be learned next time.
func (p *peers) learn(ctx context.Context, s queries.Standing) error {
	loss, asOf := p.in.keys.Lost(), s.Now
	progress := learning{began: p.in.cfg.Now(), said: p.in.cfg.Now(), again: loss > 0}
	if loss > 0 {
		clear(p.unsaid)
	}
	for _, n := range s.Nodes {
		own, silent := n.ID == p.in.Node(), p.silent(n, s.Now)
		switch {
		case own && loss == 0:
			continue
		case own:
			n.Stored = max(n.Stored, p.state().Stored)
		case !n.Stopped && !silent && n.SaidAt.Before(asOf):
			asOf = n.SaidAt
		}
		err := p.learnNode(ctx, n, &progress)
		if err == nil && silent && !own {
			err = p.learnUnsaid(ctx, n, &progress)
		}
		if err != nil {
			return err
		}
	}
	if loss > 0 {
		p.in.keys.Regained(loss)
		p.in.cfg.Logger.Info("keys that were lost are known again")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learned, p.relearned = asOf, p.relearned || loss > 0
	return nil
}

// learning is how far a long catching up is.
type learning struct {
	began, said time.Time
	keys        int
	again       bool // keys were lost
}

// learnNode learns a node's keys page by page. Where it has learned to is asked anew for each: a
// loss of keys starts it from the beginning.
func (p *peers) learnNode(ctx context.Context, n queries.Node, progress *learning) error {
	for {
		after := p.in.keys.Learned(n.ID)
		if after >= n.Stored {
			return nil
		}
		rows, err := p.page(ctx, queries.NodeKeysParams{
			Node: n.ID, After: after, To: n.Stored, Limit: keysPageMax,
		})
		if err != nil {
			return err
		}
		upTo := n.Stored
		if len(rows) == keysPageMax {
			upTo = rows[len(rows)-1].Sequence
		}
		p.take(n.ID, upTo, rows, progress.again)
		progress.keys += len(rows)
		if now := p.in.cfg.Now(); now.Sub(progress.said) >= progressEvery {
			progress.said = now
			p.in.cfg.Logger.Info("learning the keys of other nodes",
				"keys", progress.keys, "node", n.ID, "sequence", upTo, "of", n.Stored)
		}
	}
}

// page reads keys of a node, unless too many events wait to be swept.
func (p *peers) page(
	ctx context.Context, of queries.NodeKeysParams,
) ([]queries.NodeKey, error) {
	p.mu.Lock()
	waiting := len(p.doubled)
	p.mu.Unlock()
	if waiting >= doubledMax {
		return nil, errUnswept
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return p.db.NodeKeys(ctx, of)
}

// take gives a page to the store, a minute at a time, because what is learned together is forgotten
// together, and keeps those that were known before for the sweep. Of what is learned again nearly all
// is known: then the search of the whole window, which does not need to be told, finds the copies.
func (p *peers) take(node uuid.UUID, upTo uint64, rows []queries.NodeKey, again bool) {
	oldest := p.in.cfg.Now().Add(-p.in.cfg.Window)
	var ids []uuid.UUID
	var kept []queries.NodeKey
	var newest time.Time
	learn := func(upTo uint64) {
		known := p.in.keys.Learn(node, upTo, ids, newest)
		p.mu.Lock()
		for _, i := range known {
			if !again {
				p.doubled = append(p.doubled, kept[i])
			}
		}
		p.mu.Unlock()
		ids, kept, newest = ids[:0], kept[:0], time.Time{}
	}
	last := uint64(0)
	for _, row := range rows {
		if !row.IngestTime.After(oldest) {
			continue
		}
		if len(ids) > 0 &&
			!row.IngestTime.Truncate(time.Minute).Equal(newest.Truncate(time.Minute)) {
			learn(min(last, upTo))
		}
		ids, kept = append(ids, row.Event), append(kept, row)
		if row.IngestTime.After(newest) {
			newest = row.IngestTime
		}
		last = row.Sequence
	}
	learn(upTo)
}

// Doubled takes the events that may be in the ledger twice, since another node accepted their key
// as well. When all of them are swept, so is what the others had said by asOf, the database's time:
// tell Swept.
func (in *Ingest) Doubled() (events []queries.NodeKey, asOf time.Time) {
	p := in.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	events, p.doubled = p.doubled, nil
	return events, p.learned
}

// Relearned reports, once, that keys were lost and are known again: which events were accepted anew
// meanwhile Doubled does not tell.
func (in *Ingest) Relearned() bool {
	p := in.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	relearned := p.relearned
	p.relearned = false
	return relearned
}

// Swept says that what Doubled returned with asOf is swept.
func (in *Ingest) Swept(asOf time.Time) {
	p := in.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	if asOf.After(p.swept) {
		p.swept = asOf
	}
}

// Eldest reports whether of the nodes that run none has a smaller id: one of them does what one of
// them should do. With others that cannot be heard, two may think so, or none.
func (in *Ingest) Eldest() bool {
	p := in.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard && p.eldest
}

// others returns how many other nodes run.
func (p *peers) others() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.live)
}

// sweptLag returns the seconds since the moment up to which all is swept; 0 before the first.
func (p *peers) sweptLag() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.swept.IsZero() {
		return 0
	}
	return p.in.cfg.Now().Add(p.offset).Sub(p.swept).Seconds()
}
