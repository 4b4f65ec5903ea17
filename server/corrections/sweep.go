package corrections

import (
	"context"
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
	// knew in memory only, and the keys that told of them it may have on disk.
	searchFirst = 5 * time.Second
	// keysGrace is how long the ledger's record of keys outlives them: a log may be late.
	keysGrace = 7 * 24 * time.Hour
)

// sweeps takes back the second copies of events that two nodes accepted. What it could not sweep it
// keeps and tries again.
func (c *Corrector) sweeps(ctx context.Context) {
	var waiting []queries.NodeKey
	var asOf time.Time
	failing, searched, search := false, false, c.cfg.Now().Add(searchFirst)
	for {
		if len(waiting) == 0 {
			waiting, asOf = c.cfg.Doubled.Doubled()
		}
		done, err := c.sweep(ctx, waiting)
		if err == nil {
			waiting = nil
		}
		if err == nil && !c.cfg.Now().Before(search) && (!searched || c.cfg.Doubled.Eldest()) {
			old := c.cfg.Now().Add(-c.cfg.Window - keysGrace)
			if _, err = c.cfg.Queries.DropKeys(ctx, old); err == nil {
				_, err = c.Search(ctx)
			}
			if searched = searched || err == nil; err == nil {
				search = c.cfg.Now().Add(searchInterval)
			} else { // an hour is too long for copies that nothing else finds
				search = c.cfg.Now().Add(searchFirst)
			}
		}
		// What an earlier process knew to be doubled and had not swept, only the first search finds:
		// before it nothing is said to be swept.
		if err == nil && searched {
			c.cfg.Doubled.Swept(asOf)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			c.cfg.Logger.Warn("duplicates were not swept, trying again", "error", err)
		case err == nil && failing:
			c.cfg.Logger.Info("duplicates are swept again")
		}
		failing = err != nil
		if !rest(ctx, max(sweepInterval, scanShare*done.scanned)) {
			return
		}
	}
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
	sum := 0
	err := c.cfg.Queries.DoubledKeys(ctx, func(found []queries.NodeKey, took time.Duration) error {
		done, err := c.sweep(ctx, found)
		sum += done.copies
		if err != nil {
			return err
		}
		if took > sweepInterval && !rest(ctx, keepShare*took) {
			return ctx.Err()
		}
		return nil
	})
	return sum, err
}

// swept is what a sweep did.
type swept struct {
	copies  int           // taken back
	scanned time.Duration // for which it read all keys there are
}

// sweep takes back all copies but one of those of some events that have several. Two nodes may sweep
// one event at once: each looks again before it claims its correction.
func (c *Corrector) sweep(ctx context.Context, events []queries.NodeKey) (done swept, err error) {
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
			return done, err
		}
		of := make(map[uuid.UUID][]queries.DoubledEvent)
		for _, d := range doubled {
			of[d.Organization] = append(of[d.Organization], d)
		}
		for organization, all := range of {
			n, err := c.sweepOrganization(ctx, organization, all)
			done.copies += n
			if err != nil {
				return done, err
			}
		}
	}
	return done, nil
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
