package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// Peers is where nodes that share a ClickHouse meet.
type Peers interface {
	// Standing returns what the nodes last said, and which hold is active.
	Standing(ctx context.Context) (queries.Standing, error)
	// SayNode writes what this node says.
	SayNode(ctx context.Context, n queries.Node) error
	// NodeKeys returns keys that a node accepted, from the ledger's own record of them.
	NodeKeys(ctx context.Context, p queries.NodeKeysParams) ([]queries.NodeKey, error)
}

const (
	beatInterval  = time.Second           // between two looks at the others
	shutInterval  = 50 * time.Millisecond // while a hold waits for an insert to end
	sayInterval   = 10 * time.Second      // at most between two words of a node nobody listens to
	beatTimeout   = 5 * time.Second       // of one look
	catchUpMax    = 5 * time.Second       // what a start waits for keys to be learned
	lastWordsMax  = time.Second           // of the node when it stops
	pageTimeout   = 30 * time.Second      // of one page of keys
	progressEvery = 10 * time.Second      // between two lines about a long catching up
)

// peers is the node among the others: it says what of its log is stored, learns which keys the
// others accepted, and keeps holds. It has no part in a write: where ClickHouse is down, it waits.
type peers struct {
	in *Ingest
	db Peers

	// The beat's own.
	said     queries.Node // what the table has, or a write without an answer may have brought there
	saidOnce bool
	failing  bool
	hold     queries.Hold // that the gate is shut for
	holdEnds time.Time    // by this node's clock

	mu      sync.Mutex
	offset  time.Duration // what the database's clock is ahead of this node's, at least
	heard   bool          // of the others, once
	live    int           // others that run
	eldest  bool          // of the nodes that run, none has a smaller id
	swept   time.Time     // by the database's clock
	learned time.Time     // likewise: what the others had said by then is learned
	doubled []queries.NodeKey

	relearned bool // keys were lost and are known again; nobody has asked since

	unsaid map[uuid.UUID]unsaid // the learner's: by silent node, what it did not live to say

	standing chan queries.Standing // capacity 1: the newest, for the learner
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

func newPeers(in *Ingest) *peers {
	return &peers{
		in: in, db: in.cfg.Peers, standing: make(chan queries.Standing, 1),
		unsaid: make(map[uuid.UUID]unsaid),
	}
}

// start shuts the gate until the node has said that it is there, learns what it can of what the
// others accepted in a few seconds, and goes on with both until stop.
func (p *peers) start() {
	if p.db == nil {
		return
	}
	p.in.gate.Shut()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	first, done := context.WithTimeout(ctx, catchUpMax)
	p.beat(first)
	select {
	case standing := <-p.standing:
		if err := p.learn(first, standing); err != nil {
			p.in.cfg.Logger.Warn("not all keys of other nodes are known yet, learning goes on",
				"error", err)
		}
	default: // nobody can be heard yet
	}
	done()
	p.work.Go(func() { p.beats(ctx) })
	p.work.Go(func() { p.learner(ctx) })
}

// stop says the node's last words: whether it leaves anything half done.
func (p *peers) stop(ctx context.Context) {
	if p.db == nil {
		return
	}
	p.cancel()
	p.work.Wait()
	if p.failing || !p.saidOnce {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWordsMax)
	defer cancel()
	n := p.state()
	n.Hold, n.Stopped = uuid.Nil, !p.in.batcher.halfDone()
	if err := p.db.SayNode(ctx, n); err != nil {
		p.in.cfg.Logger.Warn("other nodes were not told that this one stops", "error", err)
	}
}

func (p *peers) beats(ctx context.Context) {
	for {
		wait := beatInterval
		if p.hold.ID != uuid.Nil && p.said.Hold != p.hold.ID && !p.failing {
			wait = shutInterval
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		p.beat(ctx)
	}
}

// beat looks at the others, keeps or ends a hold, and says what is new. A failure is logged when it
// is news.
func (p *peers) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	standing, err := p.db.Standing(ctx)
	if err == nil {
		p.note(standing)
		err = p.answer(ctx, standing)
	}
	if err == nil {
		select {
		case <-p.standing: // an older one that nobody took
		default:
		}
		p.standing <- standing
	}
	switch {
	case err != nil && p.hold.ID != uuid.Nil && !p.in.cfg.Now().Before(p.holdEnds):
		p.open() // nobody renewed it where this node could see
	case err != nil && !p.failing && ctx.Err() != context.Canceled:
		p.in.cfg.Logger.Warn("other nodes cannot be heard, trying again", "error", err)
	case err == nil && p.failing:
		p.in.cfg.Logger.Info("other nodes can be heard again")
	}
	p.failing = err != nil
}

// note keeps what the others said for those who ask.
func (p *peers) note(s queries.Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The answer took its time to come, so that this node's idea of the database's clock is behind
	// it: what is true at a moment of ours was true at the moment we give for it.
	p.offset = s.Now.Sub(p.in.cfg.Now())
	p.heard, p.live, p.eldest = true, 0, true
	for _, n := range s.Nodes {
		if n.ID != p.in.Node() && n.Live(s.Now) {
			p.live++
			p.eldest = p.eldest && p.in.Node().String() < n.ID.String()
		}
		if n.ID == p.in.Node() && !p.saidOnce {
			p.said, p.swept = n, n.SweptAt // of an earlier process
		}
	}
}

// answer keeps the hold that is active and says what the others should know. The gate opens after
// the first word: whoever holds the ledger knows of everybody who may insert.
func (p *peers) answer(ctx context.Context, s queries.Standing) error {
	kept := uuid.Nil
	if s.Hold.ID != uuid.Nil {
		if p.hold.ID != s.Hold.ID {
			p.in.cfg.Logger.Info("nothing is inserted while a hold lasts", "hold", s.Hold.ID)
		}
		p.hold, p.holdEnds = s.Hold, p.in.cfg.Now().Add(s.Hold.Until.Sub(s.Now))
		if p.in.gate.Shut() {
			kept = s.Hold.ID
		}
	}
	n := p.state()
	n.Hold = kept
	if p.worthSaying(n) {
		if err := p.db.SayNode(ctx, n); err != nil {
			return err
		}
		p.said, p.saidOnce = n, true
	}
	if s.Hold.ID == uuid.Nil {
		p.open()
	}
	return nil
}

// open ends a hold, or the wait for the first word.
func (p *peers) open() {
	if p.hold.ID != uuid.Nil {
		p.in.cfg.Logger.Info("the hold is over", "hold", p.hold.ID)
		p.hold = queries.Hold{}
	}
	p.in.gate.Open()
}

// state returns what this node can say of itself now.
func (p *peers) state() queries.Node {
	b := p.in.batcher
	b.mu.Lock()
	stored := b.sequence
	b.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.in.cfg.Now().Add(p.offset).UTC().Truncate(time.Microsecond)
	if !now.After(p.said.SaidAt) { // a later word must not look like an earlier one
		now = p.said.SaidAt.Add(time.Microsecond)
	}
	return queries.Node{
		ID: p.in.Node(), SaidAt: now, Stored: max(stored, p.said.Stored),
		Pending: uint64(p.in.Pending()), SweptAt: p.swept,
	}
}

func (p *peers) worthSaying(n queries.Node) bool {
	p.mu.Lock()
	alone := p.live == 0
	p.mu.Unlock()
	moved := n.Stored != p.said.Stored || !n.SweptAt.Equal(p.said.SweptAt)
	return !p.saidOnce || n.Hold != p.said.Hold || moved && !alone ||
		n.SaidAt.Sub(p.said.SaidAt) >= sayInterval
}

// halfDone reports whether a batch may be in the ledger or a rollup in part.
func (b *batcher) halfDone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.progress.Fixed) > 0
}
