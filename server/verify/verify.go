// Package verify proves, on a system that runs, that what is derived from the ledger equals it and
// that the ledger has everything once; and mends a rollup that does not.
//
// A question takes time, and meanwhile batches come: a rollup that was read before its batch and a
// ledger that was read after it differ, and are both right. So what differs is looked at again, and
// what still differs is looked at while no node inserts (queries.Hold); writers are never stopped,
// their events wait in the nodes' logs.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// Config is what a Verifier needs. Zero durations mean the defaults.
type Config struct {
	Queries *queries.Queries
	Data    string        // a node's data folder, for what was set aside there; empty: none is at hand
	Window  time.Duration // how long an idempotency key is known; default 34 days

	Mode schema.ReportMode // how Stripe is told; zero: reports that are behind are not noted
	Now  func() time.Time  // default time.Now

	Settle    time.Duration // between two looks; default 2 s
	SweepWait time.Duration // for nodes that are behind with their sweep; default 2 min
	HoldWait  time.Duration // for the nodes to keep a hold; default 15 s
	HoldLook  time.Duration // a look that takes longer is no business of a hold; default 10 s
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Settle, 2 * time.Second}, {&c.SweepWait, 2 * time.Minute},
		{&c.HoldWait, 15 * time.Second}, {&c.HoldLook, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Kind says what a finding is about.
type Kind string

// The kinds of findings.
const (
	Rollup     Kind = "rollup"     // a rollup is not the sum of the ledger
	Event      Kind = "event"      // an event counts twice, or less than not at all
	Sequence   Kind = "sequence"   // what a node stored is not in the ledger, or twice
	Correction Kind = "correction" // the journal of corrections is not whole
	Dimension  Kind = "dimension"  // a dimension is not described
	Place      Kind = "place"      // where an event lies is not noted
	Slot       Kind = "slot"       // what Stripe is told is not fixed once, or is not whole
	Unproved   Kind = "unproved"   // a rollup differs, and inserts that are under way may be why
)

// Kinds are all of them.
var kinds = []Kind{Rollup, Event, Sequence, Correction, Dimension, Place, Slot, Unproved}

// Finding is something that is not as it should be.
type Finding struct {
	Kind Kind
	Text string // what, where, and what to do; one line

	key        string             // the same thing has the same key in every look
	day        time.Time          // of a Place, and from which on of a Dimension
	difference queries.Difference // of a Rollup
}

// Report is what a verification found.
type Report struct {
	Findings []Finding
	Notes    []string // what is worth saying and no finding: a line for each node's log, what is aside
}

// Verifier verifies. It is safe for concurrent use.
type Verifier struct{ cfg Config }

// New returns a Verifier.
func New(c Config) *Verifier { return &Verifier{c.withDefaults()} }

// Run proves what p bounds; the sequences of the nodes' logs are proved whole. A report without
// findings is a proof. The error is that of a question that could not be asked.
func (v *Verifier) Run(ctx context.Context, p queries.VerifyParams) (Report, error) {
	var report Report
	p.Window = v.cfg.Window
	for _, look := range []func(
		context.Context, queries.VerifyParams,
	) ([]Finding, []string, error){
		v.rollups, v.unswept, v.lasting(v.sequences, 2),
		v.lasting(v.corrections, 3), v.settled(v.dimensions), v.settled(v.places),
		v.lasting(v.reports, 2),
	} {
		found, notes, err := look(ctx, p)
		if err != nil {
			return Report{}, err
		}
		report.Findings = append(report.Findings, found...)
		report.Notes = append(report.Notes, notes...)
	}
	return report, nil
}

// eventLooks is how often an event that counts twice is looked at: a key that two nodes accepted at
// once is swept within seconds.
const eventLooks = 6

// look asks one question; notes are the last look's.
type look func(context.Context, queries.VerifyParams) ([]Finding, []string, error)

// lasting returns a look whose findings were the same in so many looks.
func (v *Verifier) lasting(once look, looks int) look {
	return func(ctx context.Context, p queries.VerifyParams) ([]Finding, []string, error) {
		found, notes, err := once(ctx, p)
		for ; err == nil && len(found) > 0 && looks > 1; looks-- {
			if err := pause(ctx, v.cfg.Settle); err != nil {
				return nil, nil, err
			}
			before := found
			found, notes, err = once(ctx, p)
			found = both(found, before)
		}
		return found, notes, err
	}
}

// settled returns a look at what views make, whose findings are looked at while no node inserts: a
// batch that the database took half, and takes again minutes later, is no finding.
func (v *Verifier) settled(once look) look {
	return func(ctx context.Context, p queries.VerifyParams) ([]Finding, []string, error) {
		found, notes, err := v.lasting(once, 2)(ctx, p)
		if err != nil || len(found) == 0 {
			return found, notes, err
		}
		least := slices.MinFunc(found, func(a, b Finding) int { return a.day.Compare(b.day) }).day
		if least.After(p.From) {
			p.From = least
		}
		var again []Finding
		err = v.hold(ctx, verifyReason, func(ctx context.Context) (err error) {
			again, _, err = once(ctx, p)
			return err
		})
		if h := (*holdError)(nil); errors.As(err, &h) {
			again, _, err = v.lasting(once, looksWithoutHold)(ctx, p)
			notes = append(notes, "no hold: "+h.Error()+"; looked again instead")
		}
		return both(found, again), notes, err
	}
}

// unswept returns a look at the events whose findings outlast the sweep: two nodes that accepted one
// key are no finding before each node has looked at what was stored when the finding was first made.
// Nodes that are overloaded, or come and go, are waited for, but not for ever.
func (v *Verifier) unswept(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, notes []string, err error) {
	first, err := v.cfg.Queries.Standing(ctx)
	if err != nil {
		return nil, nil, err
	}
	began := v.cfg.Now()
	found, notes, err = v.lasting(v.events, eventLooks)(ctx, p)
	for err == nil && len(found) > 0 && v.cfg.Now().Sub(began) < v.cfg.SweepWait {
		now, err := v.cfg.Queries.Standing(ctx)
		if err != nil {
			return nil, nil, err
		}
		behind := slices.ContainsFunc(now.Nodes, func(n queries.Node) bool {
			return !n.Stopped && n.SweptAt.Before(first.Now)
		})
		again, _, err := v.lasting(v.events, 2)(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		found = both(found, again)
		if !behind {
			break
		}
	}
	return found, notes, err
}

// both returns those of found that are found again.
func both(found, again []Finding) []Finding {
	seen := make(map[string]bool, len(again))
	for _, f := range again {
		seen[f.key] = true
	}
	return slices.DeleteFunc(found, func(f Finding) bool { return !seen[f.key] })
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finding returns a finding whose text is its key.
func finding(kind Kind, format string, args ...any) Finding {
	text := fmt.Sprintf(format, args...)
	return Finding{Kind: kind, Text: text, key: text}
}

func (v *Verifier) events(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, _ []string, err error) {
	all, err := v.cfg.Queries.VerifyEvents(ctx, p)
	for _, d := range all {
		found = append(found, finding(Event, "usage_events: organization %s, event %s of %s: %s "+
			"(counts %d times, may %d; records less reversals %d to %d): what two nodes accepted "+
			"a serve sweeps within the hour, else look at its rows",
			d.Organization, d.Event, d.Day.Format(time.DateOnly), d.Problem(),
			d.Live, d.Allowed, d.Least, d.Most))
	}
	return found, nil, err
}

func (v *Verifier) corrections(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, _ []string, err error) {
	all, err := v.cfg.Queries.VerifyCorrections(ctx, p)
	for _, d := range all {
		found = append(found, finding(Correction, "corrections: organization %s, number %d %s (%d)",
			d.Organization, d.Number, d.Problem, d.Times))
	}
	return found, nil, err
}

func (v *Verifier) dimensions(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, _ []string, err error) {
	all, err := v.cfg.Queries.VerifyDimensions(ctx, p)
	for _, d := range all {
		f := finding(Dimension,
			"dimensions: organization %s, dimension %d, in use since %s: described %d times",
			d.Organization, d.ID, d.FirstDay.Format(time.DateOnly), d.Descriptions)
		f.day = d.FirstDay
		found = append(found, f)
	}
	return found, nil, err
}

func (v *Verifier) places(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, _ []string, err error) {
	all, err := v.cfg.Queries.VerifyPlaces(ctx, p)
	for _, d := range all {
		f := finding(Place, "event_places: %s: %d events have no place and are "+
			"slow to find: meterhouse rebuild --table event_places writes them",
			d.Day.Format(time.DateOnly), d.Lacking)
		f.day = d.Day
		found = append(found, f)
	}
	return found, nil, err
}

// sequences holds what the nodes say they stored against the ledger.
func (v *Verifier) sequences(
	ctx context.Context, p queries.VerifyParams,
) (found []Finding, notes []string, err error) {
	// What a node says it stored is stored before it says so: the nodes are asked first.
	nodes, err := v.cfg.Queries.Nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	parts, err := v.cfg.Queries.VerifySequences(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	var aside []ingest.SetAside
	if v.cfg.Data != "" {
		if aside, err = ingest.Aside(v.cfg.Data); err != nil {
			return nil, nil, err
		}
	}
	retired, err := v.cfg.Queries.RetiredSequences(ctx)
	if err != nil {
		return nil, nil, err
	}
	lost, err := v.cfg.Queries.Lost(ctx)
	if err != nil {
		return nil, nil, err
	}
	accounted := slices.Clone(aside)
	for _, l := range lost {
		accounted = append(accounted, ingest.SetAside{Node: l.Node, First: l.First, Last: l.Last})
		notes = append(notes, fmt.Sprintf("lost: node %s, sequences %d..%d, %d events: stored after "+
			"the backup that the database was restored from", l.Node, l.First, l.Last, l.Events()))
	}
	logs := logsOf(nodes, parts, retired)
	for _, l := range logs {
		f, note, err := v.log(ctx, l, accounted, p.Threads)
		if err != nil {
			return nil, nil, err
		}
		found, notes = append(found, f...), append(notes, note)
	}
	return found, append(notes, asideNotes(aside)...), nil
}

func asideNotes(aside []ingest.SetAside) (notes []string) {
	for _, s := range aside {
		switch {
		case s.Unreadable != "":
			notes = append(notes, fmt.Sprintf("set aside: %s: %s", s.Path, s.Unreadable))
		case s.Kind == ingest.KindDamage:
			notes = append(notes, fmt.Sprintf("set aside: node %s, sequences %d..%d, %d events, lost "+
				"to damage: %s (%s)", s.Node, s.First, s.Last, s.Events, s.Error, s.Path))
		case s.Kind == ingest.KindGap:
			notes = append(notes, fmt.Sprintf("left out: node %s, sequences %d..%d: %s (%s)",
				s.Node, s.First, s.Last, s.Error, s.Path))
		default:
			notes = append(notes, fmt.Sprintf("set aside: node %s, sequences %d..%d, %d events: %s: "+
				"run `meterhouse replay` when that is mended (%s)",
				s.Node, s.First, s.Last, s.Events, s.Error, s.Path))
		}
	}
	return notes
}

// log is one node's log, as far as it is said to be stored.
type log struct {
	node    uuid.UUID
	stored  uint64 // up to there, as the node said within the last ten seconds
	last    uint64 // the last that the ledger has; what is between may be under way
	parts   map[uint64]queries.Sequences
	retired map[uint64]uint64 // events of a part that went with a month
}

func logsOf(
	nodes []queries.Node, parts []queries.Sequences, retired []queries.RetiredSequence,
) []*log {
	all := make(map[uuid.UUID]*log)
	of := func(node uuid.UUID) *log {
		l, ok := all[node]
		if !ok {
			l = &log{
				node: node, parts: make(map[uint64]queries.Sequences),
				retired: make(map[uint64]uint64),
			}
			all[node] = l
		}
		return l
	}
	for _, s := range parts {
		l := of(s.Node)
		l.parts[s.Part], l.last = s, max(l.last, s.Last)
		l.stored = l.last
	}
	for _, r := range retired {
		of(r.Node).retired[r.Part] += r.Events
	}
	for _, n := range nodes { // of a node that says nothing, what the ledger has is what it stored
		of(n.ID).stored = n.Stored
	}
	var logs []*log
	for _, l := range all {
		// A probe of ClickHouse is an event of no log, a command is a node without one.
		if l.node != uuid.Nil && max(l.stored, l.last) > 0 {
			logs = append(logs, l)
		}
	}
	slices.SortFunc(logs, func(a, b *log) int {
		return strings.Compare(a.node.String(), b.node.String())
	})
	return logs
}

// log looks at one node's log, part by part, and says how much of it there is.
func (v *Verifier) log(
	ctx context.Context, l *log, aside []ingest.SetAside, threads int,
) (found []Finding, note string, err error) {
	const size = queries.SequencesOfPart
	missing := uint64(0)
	for part := range l.stored/size + 1 {
		s := l.parts[part]
		if n := s.Rows - s.RowsOnce; n > 0 {
			found = append(found, finding(Sequence,
				"usage_events: node %s, sequences %d..%d: %d of %d events, %d of %d measurements are "+
					"there twice", l.node, s.First, s.Last, s.Events-s.Different, s.Events,
				n, s.Rows))
		}
		from, to := max(part*size, 1), min(part*size+size-1, l.stored)
		gaps, err := v.gaps(ctx, queries.GapsParams{
			Node: l.node, First: from, Last: to, Threads: threads,
		}, s)
		if err != nil {
			return nil, "", err
		}
		gaps = without(gaps, l.node, aside)
		if n := lengthOf(gaps); n > l.retired[part] {
			missing += n - l.retired[part]
			found = append(found, finding(Sequence, "usage_events: node %s stored %d events of "+
				"its log that the ledger does not have: sequences %s", l.node, n-l.retired[part],
				textOf(gaps)))
		}
	}
	return found, fmt.Sprintf("node %s: 1..%d, %d missing",
		l.node, max(l.stored, l.last), missing), nil
}

// gaps asks which sequences of a run are missing, if any is.
func (v *Verifier) gaps(
	ctx context.Context, p queries.GapsParams, s queries.Sequences,
) ([]queries.Gap, error) {
	switch {
	case p.First > p.Last:
		return nil, nil
	case s.Accounted == 0:
		return []queries.Gap{{First: p.First, Last: p.Last}}, nil
	case s.Last >= p.Last && s.Accounted == s.Last-p.First+1:
		return nil, nil
	}
	return v.cfg.Queries.VerifyGaps(ctx, p)
}

// without takes what was set aside out of gaps.
func without(gaps []queries.Gap, node uuid.UUID, aside []ingest.SetAside) []queries.Gap {
	for _, s := range aside {
		if s.Node != node || s.Unreadable != "" {
			continue
		}
		var left []queries.Gap
		for _, g := range gaps {
			if s.Last < g.First || s.First > g.Last {
				left = append(left, g)
				continue
			}
			if g.First < s.First {
				left = append(left, queries.Gap{First: g.First, Last: s.First - 1})
			}
			if s.Last < g.Last {
				left = append(left, queries.Gap{First: s.Last + 1, Last: g.Last})
			}
		}
		gaps = left
	}
	return gaps
}

func lengthOf(gaps []queries.Gap) (n uint64) {
	for _, g := range gaps {
		n += g.Last - g.First + 1
	}
	return n
}

// textOf names the first few gaps.
func textOf(gaps []queries.Gap) string {
	const shown = 20
	var all []string
	for i, g := range gaps {
		if i == shown {
			all = append(all, fmt.Sprintf("and %d more runs", len(gaps)-shown))
			break
		}
		if g.First == g.Last {
			all = append(all, fmt.Sprint(g.First))
			continue
		}
		all = append(all, fmt.Sprintf("%d..%d", g.First, g.Last))
	}
	return strings.Join(all, ", ")
}
