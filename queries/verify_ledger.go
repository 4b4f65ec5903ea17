package queries

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// keyWindow is how long an idempotency key is known if nothing else is said: an event that is sent
// again later counts again.
const keyWindow = 34 * 24 * time.Hour

// EventDefect is an event that does not count exactly once or not at all.
type EventDefect struct {
	Organization uuid.UUID
	Event        uuid.UUID
	Day          time.Time // of its first time
	Live         int64     // how many of its revisions count, copies of one each for themselves
	Least, Most  int64     // records minus reversals of a measurement of a revision
	Allowed      int64     // how often it may count: once more for each time its key was forgotten
}

// Problem says what is wrong with the event.
func (d EventDefect) Problem() string {
	switch {
	case d.Least < 0:
		return "is reversed more than once, or reversed and never recorded"
	case d.Most > d.Allowed:
		return "counts more than once"
	}
	return "counts in more than one revision"
}

// rowsOfPart is how many rows of the ledger VerifyEvents takes at once: some 300 MB of memory.
const rowsOfPart = 8_000_000

type suspectsParams struct {
	VerifyParams
	part, parts uint64
}

type eventsParams struct {
	VerifyParams
	suspects []uint64
}

// hashes is an Array(String) of numbers.
func hashes(name string, values []uint64) any {
	return list(name, values, func(n uint64) string { return strconv.FormatUint(n, 10) })
}

var (
	verifySize = ask("verify_size", func(p VerifyParams) []any {
		from, to := p.days()
		return []any{day("from", from), day("to", to)}
	}, func(n *uint64) []any { return []any{n} })

	verifySuspects = ask("verify_suspects", func(p suspectsParams) []any {
		return append(bindSomeDays(p.VerifyParams),
			number("part", p.part), number("parts", p.parts))
	}, func(hash *uint64) []any { return []any{hash} })

	verifyEvents = ask("verify_events", func(p eventsParams) []any {
		return append(bindDays(p.VerifyParams), hashes("suspects", p.suspects),
			number("window", uint64(cmp.Or(p.Window, keyWindow)/time.Second)))
	}, func(d *EventDefect) []any {
		return []any{
			&d.Organization, &d.Event, &d.Day, &d.Live, &d.Least, &d.Most, &d.Allowed,
		}
	})
)

// VerifyEvents returns the events with a time in the days of p that count more than once, or in
// several revisions, or less than not at all, at most 1,000. A key that two nodes accepted within
// a second shows until it is swept.
func (q *Queries) VerifyEvents(ctx context.Context, p VerifyParams) ([]EventDefect, error) {
	size, _, err := first(ctx, q.conn, verifySize.with(p.settings()), p)
	if err != nil {
		return nil, err
	}
	asked := eventsParams{VerifyParams: p}
	parts := size/rowsOfPart + 1
	for part := range parts {
		found, err := collect(ctx, q.conn, verifySuspects.with(p.settings()),
			suspectsParams{p, part, parts})
		if err != nil {
			return nil, err
		}
		asked.suspects = append(asked.suspects, found...)
		if len(asked.suspects) >= differencesMax {
			asked.suspects = asked.suspects[:differencesMax]
			break
		}
	}
	return collect(ctx, q.conn, verifyEvents.with(p.settings()), asked)
}

// Sequences is what the ledger holds of a run of the sequences of a node's log: of 1,000,000 whose
// first is a multiple of that.
type Sequences struct {
	Node      uuid.UUID
	Part      uint64 // the sequences from Part × SequencesOfPart on
	Events    uint64 // that are there
	Different uint64 // how many sequences they have; fewer than Events: some are there twice
	Accounted uint64 // how many there are with those that went with a retired month
	Rows      uint64 // their measurements
	RowsOnce  uint64 // how many of these are different ones
	First     uint64 // the least sequence that is there, or was
	Last      uint64
}

// SequencesOfPart is how many sequences one Sequences is about.
const SequencesOfPart = 1_000_000

var verifySequences = ask("verify_sequences", bindNone, func(s *Sequences) []any {
	return []any{
		&s.Node, &s.Part, &s.Events, &s.Different, &s.Accounted, &s.Rows, &s.RowsOnce, &s.First, &s.Last,
	}
})

// VerifySequences returns what the ledger holds of each node's log, ordered by node and part. Of p
// only Threads matters.
func (q *Queries) VerifySequences(ctx context.Context, p VerifyParams) ([]Sequences, error) {
	return collect(ctx, q.conn, verifySequences.with(p.settings()), none{})
}

// GapsParams asks about a run of a node's log.
type GapsParams struct {
	Node  uuid.UUID
	First uint64 // at least 1
	Last  uint64

	Threads int // as of VerifyParams
}

// Gap is a run of sequences, both ends included.
type Gap struct{ First, Last uint64 }

var verifyGaps = ask("verify_gaps", func(p GapsParams) []any {
	return []any{
		id("node", p.Node), number("first", p.First), number("last", p.Last),
		number("limit", differencesMax),
	}
}, func(g *Gap) []any { return []any{&g.First, &g.Last} })

// VerifyGaps returns the sequences of a run that the ledger does not hold, at most 1,000 gaps.
func (q *Queries) VerifyGaps(ctx context.Context, p GapsParams) ([]Gap, error) {
	return collect(ctx, q.conn,
		verifyGaps.with(VerifyParams{Threads: p.Threads}.settings()), p)
}
