package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// Ledger is a Store that can be asked what it has of a batch.
type Ledger interface {
	Store
	// BatchSequences returns which events of a node's log the ledger has.
	BatchSequences(
		ctx context.Context, p queries.BatchSequencesParams,
	) (map[uint64]struct{}, error)
}

// Found is what the ledger had of a batch already. Whether the rollups had it too, nobody knows.
type Found struct {
	Events   int
	From, To time.Time // the range of the batch's event times
}

// Days returns the UTC days of the batch's events: the first, and the one after the last.
func (f Found) Days() (from, to time.Time) {
	const day = 24 * time.Hour
	return f.From.UTC().Truncate(day), f.To.UTC().Add(day - 1).Truncate(day)
}

// Replay stores a batch that was set aside and removes its file. It may run beside a serve, twice,
// and again after it was interrupted; what the ledger has is not sent again. An error leaves the
// file as it is.
func Replay(ctx context.Context, l Ledger, s SetAside) (Found, error) {
	if s.Kind != KindBatch {
		return Found{}, fmt.Errorf("aside: %s is no batch, it cannot be stored", s.Path)
	}
	s, parts, err := readAside(s.Path)
	if err != nil {
		return Found{}, err
	}
	b := late{
		node: s.Node, first: s.First, last: s.Last, token: s.Token,
		timeout: replayTimeout, settled: time.Now().Add(replayTimeout),
	}
	for _, part := range parts {
		e, err := openEntry(part)
		if err != nil {
			return Found{}, fmt.Errorf("aside: %w", err)
		}
		b.entries = append(b.entries, e)
	}
	found, err := storeLate(ctx, l, b)
	if err != nil {
		return Found{}, err
	}
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Found{}, fmt.Errorf("aside: stored, but its file stays: %w", err)
	}
	return found, nil
}

// late is a batch that was tried before, perhaps so long ago that its token is forgotten.
type late struct {
	node        uuid.UUID
	first, last uint64
	token       string
	entries     []entry

	timeout time.Duration // of a question, and of an insert
	settled time.Time     // when no earlier try can be under way any more
}

// replayTimeout is the timeout of a replay, and how long another one's insert may be under way.
const replayTimeout = time.Minute

func (b late) events() (n uint64) {
	for _, e := range b.entries {
		n += e.count
	}
	return n
}

// stored returns what the ledger has of the batch. An insert of several months' events becomes
// visible a month at a time: where the ledger has a part, the rest may be about to come.
func (b late) stored(
	ctx context.Context, l Ledger, p queries.BatchSequencesParams,
) (map[uint64]struct{}, error) {
	ask := func() (map[uint64]struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		return l.BatchSequences(ctx, p)
	}
	stored, err := ask()
	wait := time.Until(b.settled)
	if n := uint64(len(stored)); err != nil || n == 0 || n >= b.events() || wait <= 0 {
		return stored, err
	}
	select {
	case <-time.After(wait):
		return ask()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// storeLate stores what the ledger does not have of a batch: under the batch's token when that is
// all of it, for a try may be under way; else under one that names what was there.
func storeLate(ctx context.Context, l Ledger, b late) (Found, error) {
	var rows queries.EventBatch
	for _, e := range b.entries {
		if err := appendEntry(&rows, e, b.node, nil); err != nil {
			return Found{}, err
		}
	}
	from, to := rows.Span()
	stored, err := b.stored(ctx, l, queries.BatchSequencesParams{
		Node: b.node, First: b.first, Last: b.last, From: from, To: to,
	})
	if err != nil {
		return Found{}, err
	}
	found := Found{Events: len(stored), From: from, To: to}
	token := b.token
	if len(stored) > 0 {
		token = fmt.Sprintf("%s:without-%d", b.token, len(stored))
		rows.Reset()
		for _, e := range b.entries {
			if err := appendEntry(&rows, e, b.node, stored); err != nil {
				return Found{}, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return found, l.InsertEvents(ctx, token, &rows)
}
