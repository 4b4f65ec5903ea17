package corrections

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
)

// SweepActor and SweepReason stand in the journal for what the sweep takes back.
const (
	SweepActor  = "meterhouse"
	SweepReason = "the same key was accepted by two nodes"
)

// Doubled knows which events other nodes accepted as well. *ingest.Ingest is one.
type Doubled interface {
	// Doubled takes the events that may be in the ledger twice, as of a moment.
	Doubled() (events []queries.NodeKey, asOf time.Time)
	// Relearned reports, once, that keys were lost and are known again: what was accepted anew
	// meanwhile only a search finds.
	Relearned() bool
	// Swept says that those of a moment were swept.
	Swept(asOf time.Time)
	// Eldest reports whether this of all nodes should look for what nobody told of.
	Eldest() bool
}

const (
	sweepInterval = time.Second
	sweepTimeout  = time.Minute // of one correction
	sweepPage     = 1000        // events of one correction: most of its time is not theirs
	scanShare     = 5           // bounds the part of its time that the sweep scans all keys
	// searchInterval is how often the whole window is searched for what no node was told of: the
	// last batch of a node that never came back, or events that were set aside and replayed.
	searchInterval = time.Hour
	// searchFirst is how long after its start each node searches once: which events were doubled it
	// knew in memory only, and the keys that told of them it may have on disk. After keys were lost
	// and learned again it searches once more.
	searchFirst = 5 * time.Second
	// keysGrace is how long the ledger's record of keys outlives them: a log may be late.
	keysGrace = 7 * 24 * time.Hour
)

// sweeper is the loop that takes back the second copies of events that two nodes accepted.
type sweeper struct {
	*Corrector
	waiting []queries.NodeKey // what could not be swept is kept and tried again
	asOf    time.Time         // when all of that is swept, so is what was said by then
	scanned time.Duration     // for which the last round read all keys there are

	searched bool      // since the start, and since keys were lost
	search   time.Time // when to search next
	sure     time.Time // what the clock said when keys were last forgotten, or at the start
}

func (c *Corrector) sweeps(ctx context.Context) {
	s := sweeper{Corrector: c, search: c.cfg.Now().Add(searchFirst), sure: c.cfg.Now()}
	failing := false
	for {
		err := s.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			c.cfg.Logger.Warn("duplicates were not swept, trying again", "error", err)
		case err == nil && failing:
			c.cfg.Logger.Info("duplicates are swept again")
		}
		failing = err != nil
		if !rest(ctx, max(sweepInterval, scanShare*s.scanned)) {
			return
		}
	}
}

// round sweeps what is known to be doubled and, when it is time to, searches for what is not.
func (s *sweeper) round(ctx context.Context) error {
	s.scanned = 0
	if len(s.waiting) == 0 {
		s.waiting, s.asOf = s.cfg.Doubled.Doubled()
		if s.cfg.Doubled.Relearned() {
			s.searched, s.search = false, s.cfg.Now()
		}
	}
	if len(s.waiting) > 0 {
		if err := s.stored(ctx); err != nil {
			return err
		}
		done, err := s.sweep(ctx, s.waiting)
		s.scanned = done.scanned
		if err != nil {
			return err
		}
		s.waiting = nil
	}
	if !s.cfg.Now().Before(s.search) && (!s.searched || s.cfg.Doubled.Eldest()) {
		if err := s.searchAll(ctx); err != nil {
			return err
		}
	}
	// What an earlier process knew to be doubled and had not swept, only the first search finds, and
	// what was accepted while keys were lost the one after that: before, nothing is said to be swept.
	if s.searched {
		s.cfg.Doubled.Swept(s.asOf)
	}
	return nil
}

// stored waits until what this node accepted is in the ledger: a copy that is not cannot be found,
// and whoever could tell of it later may be gone by then.
func (s *sweeper) stored(ctx context.Context) error {
	if s.cfg.Flush == nil {
		return nil
	}
	return s.cfg.Flush(ctx)
}

// searchAll forgets keys that are too old, and searches the others.
func (s *sweeper) searchAll(ctx context.Context) error {
	s.search = s.cfg.Now().Add(searchFirst) // an hour is too long for copies that nothing else finds
	if err := s.forget(ctx); err != nil {
		return err
	}
	if err := s.stored(ctx); err != nil {
		return err
	}
	if _, err := s.Search(ctx); err != nil {
		return err
	}
	s.searched, s.search = true, s.cfg.Now().Add(searchInterval)
	return nil
}

// forget drops the weeks of keys that nobody needs any more. It believes the clock what it said an
// interval ago: one that jumps ahead must not take from all nodes what they learn keys from.
func (s *sweeper) forget(ctx context.Context) error {
	now := s.cfg.Now()
	if now.Before(s.sure) {
		s.sure = now
	}
	if now.Sub(s.sure) < searchInterval {
		return nil
	}
	if _, err := s.cfg.Queries.DropKeys(ctx, s.sure.Add(-s.cfg.Window-keysGrace)); err != nil {
		return err
	}
	s.sure = now
	return nil
}

// rest returns false when ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Search looks at every key of the window and takes back all copies of an event but one, whoever
// accepted them. It returns how many it took back. It takes its time: a twentieth of it is work.
func (c *Corrector) Search(ctx context.Context) (int, error) {
	sum, failed := 0, error(nil)
	err := c.cfg.Queries.DoubledKeys(ctx, func(found []queries.NodeKey, took time.Duration) error {
		done, err := c.sweep(ctx, found)
		sum, failed = sum+done.copies, errors.Join(failed, err)
		if took > sweepInterval {
			rest(ctx, keepShare*took)
		}
		return ctx.Err()
	})
	return sum, errors.Join(failed, err)
}

// swept is what a sweep did.
type swept struct {
	copies  int           // taken back
	scanned time.Duration // for which it read all keys there are
}

// sweep takes back all copies but one of those of some events that have several. Two nodes may sweep
// one event at once: each looks again before it claims its correction. One organization that cannot
// be corrected keeps no other from being swept.
func (c *Corrector) sweep(
	ctx context.Context, events []queries.NodeKey,
) (done swept, failed error) {
	for len(events) > 0 {
		page := events[:min(len(events), queries.DoubledEventsMax)]
		events = events[len(page):]
		ids := make([]uuid.UUID, len(page))
		for i, e := range page {
			ids[i] = e.Event
		}
		began := c.cfg.Now()
		doubled, err := c.cfg.Queries.DoubledEvents(ctx, ids)
		done.scanned += c.cfg.Now().Sub(began)
		if err != nil {
			return done, errors.Join(failed, err)
		}
		of := make(map[uuid.UUID][]queries.DoubledEvent)
		for _, d := range doubled {
			of[d.Organization] = append(of[d.Organization], d)
		}
		for organization, all := range of {
			n, err := c.sweepOrganization(ctx, organization, all)
			done.copies += n
			failed = errors.Join(failed, err)
		}
	}
	return done, failed
}

func (c *Corrector) sweepOrganization(
	ctx context.Context, organization uuid.UUID, all []queries.DoubledEvent,
) (int, error) {
	sum := 0
	for len(all) > 0 {
		page := all[:min(len(all), sweepPage)]
		all = all[len(page):]
		n, err := c.takeBack(ctx, organization, page)
		sum += n
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// takeBack makes one correction of what is to be taken back of some events, if anything is.
func (c *Corrector) takeBack(
	ctx context.Context, organization uuid.UUID, events []queries.DoubledEvent,
) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	p := c.doubledParams(organization, events)
	// Most of what is asked about was taken back before, by another node: no journal for that.
	if extra, err := c.cfg.Queries.ExtraCopies(ctx, p); err != nil || len(extra) == 0 {
		return 0, err
	}
	copies := 0
	made, err := c.write(ctx, job{
		organization: organization, actor: SweepActor, reason: SweepReason,
		build: func(ctx context.Context, now time.Time) (draft, error) {
			var d draft
			extra, err := c.cfg.Queries.ExtraCopies(ctx, p)
			for _, e := range extra {
				d.takeBack(e, now)
			}
			copies = len(extra)
			return d, err
		},
	})
	if err != nil || !made {
		return 0, err
	}
	for range copies {
		c.metrics.swept.Inc()
	}
	c.cfg.Logger.Info("copies of events that two nodes accepted were taken back",
		"organization", organization, "copies", copies)
	return copies, nil
}

func (c *Corrector) doubledParams(
	organization uuid.UUID, events []queries.DoubledEvent,
) queries.DoubledParams {
	p := queries.DoubledParams{Organization: organization, Window: c.cfg.Window}
	for _, d := range events {
		p.Events = append(p.Events, d.Event)
		p.Times = append(p.Times, d.Times...)
	}
	return p
}
