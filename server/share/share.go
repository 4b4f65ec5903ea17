// Package share lets identical reads that come at once, or within a moment, share one question.
package share

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Config is what a Group needs. All fields are required.
type Config struct {
	Now func() time.Time
	// Keep is how old, counted from the start of its question, an answer may be for the next one
	// who asks the same. A question that has run for longer is joined by nobody.
	Keep time.Duration
	// Refresh is the age from which on an answer that is asked for is asked anew beside: whoever asks
	// gets the older one at once, until Keep. Zero: never. It is for Do.
	Refresh time.Duration
	// Timeout is how long a question may take.
	Timeout time.Duration
	// EntriesMax and BytesMax bound the answers that are kept.
	EntriesMax int
	BytesMax   int
	// Observe is told how each read came to its answer.
	Observe func(kind string, how How)
}

// How says how a read comes to its answer.
type How uint8

// The ways.
const (
	Asked  How = iota + 1 // it was the first, and asks
	Shared                // its question was under way
	Kept                  // its question was answered a moment ago
)

// Question says what is asked: equal ones share an answer.
type Question struct {
	Kind         string // of a closed set: a label of metrics
	Organization uuid.UUID
	Key          any // everything else that the answer depends on; comparable
}

// ErrGone is the error of a Flight whose asker went before it had an answer: ask again.
var ErrGone = errors.New("who asked has gone")

// Group has the questions under way and the newest answers. It is safe for concurrent use.
type Group struct {
	cfg Config

	mu    sync.Mutex
	found map[uuid.UUID]map[Question]*Flight // what may be joined, by organization
	kept  []*Flight                          // those of found that have ended, in that order
	bytes int                                // of kept
	// What is asked anew while an older answer is found, by organization. It is found when it ends,
	// unless it was taken from here: by Renew, or because the older one went.
	anew map[uuid.UUID]map[Question]*Flight
}

// New returns a Group without any answers.
func New(c Config) *Group {
	return &Group{
		cfg: c, found: make(map[uuid.UUID]map[Question]*Flight),
		anew: make(map[uuid.UUID]map[Question]*Flight),
	}
}

// Flight is one question, and its answer when it has ended.
type Flight struct {
	group    *Group
	question Question
	done     chan struct{} // closed when it has ended; value and err are fixed then
	value    any
	err      error

	// The group's lock guards these.
	started time.Time // zero: not yet
	waiting int
	cancel  context.CancelFunc // ends the question; nil: its asker's own context does
	ended   bool
	bytes   int
}

// Do returns the answer to a question: ask's, or that of somebody who asked the same a moment ago.
// The context ask is given ends when all who wait for the answer have gone, or after the Timeout;
// the int it returns is about how many bytes its answer takes. The answer is shared: it must not be
// changed. An error is shared by those who wait for it, and not kept. When ctx ends its error is
// returned.
func Do[V any](
	ctx context.Context, g *Group, q Question, ask func(context.Context) (V, int, error),
) (answer V, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	start := func(f *Flight) {
		asking, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
		f.run(cancel)
		go func() {
			defer cancel()
			f.ask(func() (any, int, error) { return ask(asking) })
		}()
	}
	f, first := g.Join(q)
	if first {
		start(f)
	} else if next := g.refresh(f); next != nil {
		start(next)
	}
	value, err := f.Wait(ctx)
	if err != nil {
		return answer, err
	}
	return value.(V), nil
}

func (f *Flight) run(cancel context.CancelFunc) {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.cancel = cancel
	f.started = f.group.cfg.Now()
}

func (f *Flight) ask(ask func() (any, int, error)) {
	var value any
	var bytes int
	var err error
	defer func() { // it has no handler above it whose recover would do
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		f.End(value, bytes, err)
	}()
	value, bytes, err = ask()
}

// Join returns the Flight of a question, and true when it is the caller's to ask: it must then
// call Begin when it does, and End. Everybody else has to Wait.
func (g *Group) Join(q Question) (f *Flight, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.purge()
	f = g.found[q.Organization][q]
	if next := g.anew[q.Organization][q]; next != nil && (f == nil || !g.fresh(f)) {
		f = next
	}
	how := Asked
	if f != nil && g.fresh(f) {
		how = Shared
		if f.ended {
			how = Kept
		}
		f.waiting++
	} else {
		if f != nil {
			g.forget(f)
		}
		f = &Flight{group: g, question: q, done: make(chan struct{}), waiting: 1}
		if g.found[q.Organization] == nil {
			g.found[q.Organization] = make(map[Question]*Flight)
		}
		g.found[q.Organization][q] = f
	}
	g.cfg.Observe(q.Kind, how)
	return f, how == Asked
}

// refresh returns a flight that asks a found answer's question anew, for the caller to start; nil
// when the answer is young, or somebody does so already.
func (g *Group) refresh(f *Flight) *Flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := f.question
	if g.cfg.Refresh == 0 || !f.ended || g.found[q.Organization][q] != f ||
		g.cfg.Now().Sub(f.started) < g.cfg.Refresh || g.anew[q.Organization][q] != nil {
		return nil
	}
	next := &Flight{group: g, question: q, done: make(chan struct{}), waiting: 1}
	if g.anew[q.Organization] == nil {
		g.anew[q.Organization] = make(map[Question]*Flight)
	}
	g.anew[q.Organization][q] = next
	return next
}

// dropAnew makes a question that is asked anew not to be found when it ends, and reports whether it
// would have been.
func (g *Group) dropAnew(f *Flight) bool {
	all := g.anew[f.question.Organization]
	if all[f.question] != f {
		return false
	}
	delete(all, f.question)
	if len(all) == 0 {
		delete(g.anew, f.question.Organization)
	}
	return true
}

// fresh reports whether a flight may be joined: its question has not begun, or just has.
func (g *Group) fresh(f *Flight) bool {
	return f.started.IsZero() || g.cfg.Now().Sub(f.started) < g.cfg.Keep
}

// Wait returns the answer, or ctx's error when that comes first. The last one who goes ends the
// question.
func (f *Flight) Wait(ctx context.Context) (any, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
	}
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiting--
	if f.waiting == 0 && f.cancel != nil && !f.ended {
		g.forget(f) // nobody may join what is about to fail
		f.cancel()
	}
	return nil, ctx.Err()
}

// Begin notes that the question starts only now: who joined until now gets an answer that is as new
// as if it had asked itself.
func (f *Flight) Begin() {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.started = f.group.cfg.Now()
}

// End gives everybody who waits the answer, which takes about so many bytes, or the error, and
// keeps an answer while it may be. Nothing happens after the first time.
func (f *Flight) End(value any, bytes int, err error) {
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.ended {
		return
	}
	f.ended, f.value, f.err, f.bytes = true, value, err, bytes
	close(f.done)
	if g.dropAnew(f) {
		g.replace(f)
	}
	if err != nil || f.started.IsZero() || !g.fresh(f) || bytes > g.cfg.BytesMax {
		g.forget(f)
		return
	}
	g.kept = append(g.kept, f)
	g.bytes += bytes
	g.purge() // it too, when it was forgotten: what it says may be outdated
}

// replace makes a flight the one that is found for its question, if it may be and is newer.
func (g *Group) replace(f *Flight) {
	q := f.question
	if old := g.found[q.Organization][q]; old != nil {
		if f.err != nil || old.started.IsZero() || !old.started.Before(f.started) {
			return
		}
		g.forget(old)
	}
	if g.found[q.Organization] == nil {
		g.found[q.Organization] = make(map[Question]*Flight)
	}
	g.found[q.Organization][q] = f
}

// Renew makes every read of an organization's usage that comes from now on ask anew, and those of
// everybody's usage too: what their questions would say is no longer all there is.
func (g *Group) Renew(organization uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range []uuid.UUID{organization, uuid.Nil} {
		for _, f := range g.found[id] {
			g.forget(f)
		}
		delete(g.anew, id)
	}
}

// Forget makes the next read of one question ask anew.
func (g *Group) Forget(q Question) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.found[q.Organization][q]; f != nil {
		g.forget(f)
	}
	if f := g.anew[q.Organization][q]; f != nil {
		g.dropAnew(f)
	}
}

// forget makes a flight not to be found; who waits for it still gets its answer.
func (g *Group) forget(f *Flight) {
	all := g.found[f.question.Organization]
	if all[f.question] != f {
		return
	}
	delete(all, f.question)
	if len(all) == 0 {
		delete(g.found, f.question.Organization)
	}
}

// purge drops answers that are too old, were forgotten, or are more than are kept.
func (g *Group) purge() {
	dropped := 0
	for _, f := range g.kept {
		here := g.found[f.question.Organization][f.question] == f
		over := len(g.kept)-dropped > g.cfg.EntriesMax || g.bytes > g.cfg.BytesMax
		if here && !over && g.fresh(f) {
			break
		}
		g.forget(f)
		g.bytes -= f.bytes
		dropped++
	}
	clear(g.kept[:dropped]) // the array may live on
	g.kept = g.kept[dropped:]
}
