package corrections

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/ingest"
)

// claimTimeout bounds the time between the moment at which a number was seen to be free and the
// end of the insert that claims it. A taken number is known by its token, which the table forgets
// after 10,000 inserts: no database takes as many in so short a time, each with its fsync.
const claimTimeout = 5 * time.Second

// staleAfter is when a number that was seen to be free is looked at again before it is claimed.
const staleAfter = time.Second

// applyTimeout bounds one try to apply a correction.
const applyTimeout = 10 * time.Second

// job is a correction to be made.
type job struct {
	organization  uuid.UUID
	actor, reason string
	// build makes the correction of what the ledger says, as of now. It is called again when
	// another writer was first and corrected an event of it. An empty draft ends the job: nothing
	// is to be corrected.
	build func(ctx context.Context, now time.Time) (draft, error)
	lost  func() // called when another writer was first; may be nil
}

// write makes one correction; false when there was nothing to correct. It returns when the ledger
// and every rollup have it.
func (c *Corrector) write(ctx context.Context, j job) (bool, error) {
	release, err := c.turn(ctx, j.organization)
	if err != nil {
		return false, err
	}
	defer release()
	var made draft   // empty: it is to be built
	var after uint64 // the newest correction that it knows of
	wait := firstWait
	for {
		number, err := c.settle(ctx, j.organization)
		if err != nil {
			return false, err
		}
		seen := c.cfg.Now()
		if made.events > 0 && number > after {
			if err := c.review(ctx, j.organization, &made, after, number); err != nil {
				return false, err
			}
			after = number
			if made.events > 0 {
				wait = firstWait
				continue // there may be another by now
			}
		}
		if made.events == 0 {
			made, err = j.build(ctx, seen.UTC().Truncate(time.Microsecond))
			if err != nil || made.events == 0 {
				return false, err
			}
			after = number
		}
		won, err := c.claim(ctx, queries.Correction{
			Organization: j.organization, Number: number + 1, ID: uuid.New(),
			At:    seen.UTC().Truncate(time.Microsecond),
			Actor: j.actor, Reason: j.reason, Events: made.events, Entries: string(made.entries),
		}, seen)
		if err != nil || won {
			return won, err
		}
		c.metrics.conflicts.Inc()
		if j.lost != nil {
			j.lost()
		}
		if err := pause(ctx, &wait); err != nil {
			return false, err
		}
	}
}

// reviewMax is how many corrections of others are looked at before a draft is built anew.
const reviewMax = 64

// review empties a draft when a correction behind number after, up to number last, is of an event of
// its own. Else it says what it would say if it were built now: whoever corrects many events at once
// would lose to who corrects one after the other, for as long as that goes on, if it were built anew.
func (c *Corrector) review(
	ctx context.Context, organization uuid.UUID, made *draft, after, last uint64,
) error {
	if last-after > reviewMax {
		*made = draft{}
		return nil
	}
	if made.ids == nil {
		made.ids = make(map[uuid.UUID]bool, made.events)
		mine := func(id uuid.UUID) { made.ids[id] = true }
		if err := eachEvent(string(made.entries), mine); err != nil {
			return err
		}
	}
	for number := after + 1; number <= last; number++ {
		row, ok, err := c.cfg.Queries.Correction(ctx, queries.CorrectionParams{
			Organization: organization, Number: number,
		})
		if err != nil {
			return err
		}
		touched := !ok
		err = eachEvent(row.Entries, func(id uuid.UUID) { touched = touched || made.ids[id] })
		if err != nil {
			return err
		}
		if touched {
			*made = draft{}
			return nil
		}
	}
	return nil
}

// eachEvent calls each with the event's id of every entry of a correction.
func eachEvent(entries string, each func(id uuid.UUID)) error {
	return ingest.ReadEntries(entries, func(e *schema.Event, _ queries.Origin) error {
		each(e.ID)
		return nil
	})
}

// turn waits until no other correction of the organization is being made on this node: they would
// only lose numbers to each other.
func (c *Corrector) turn(ctx context.Context, organization uuid.UUID) (func(), error) {
	turn := c.turnOf(organization)
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Corrector) turnOf(organization uuid.UUID) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	turn, ok := c.turns[organization]
	if !ok {
		turn = make(chan struct{}, 1)
		c.turns[organization] = turn
	}
	return turn
}

// settle applies what is written and not applied, and returns the newest number.
func (c *Corrector) settle(ctx context.Context, organization uuid.UUID) (uint64, error) {
	for {
		state, err := c.cfg.Queries.CorrectionsState(ctx, organization)
		if err != nil || state.Newest == state.Applied {
			return state.Newest, err
		}
		p := queries.CorrectionParams{Organization: organization, Number: state.Applied + 1}
		open, ok, err := c.cfg.Queries.Correction(ctx, p)
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, final{fmt.Errorf("corrections: organization %s has no number %d before %d",
				organization, p.Number, state.Newest)}
		}
		if err := c.apply(ctx, open); err != nil {
			return 0, err
		}
		c.cfg.Logger.Info("a correction that was left open was applied",
			"organization", organization, "number", p.Number)
	}
}

// claim writes a correction and applies it; false when another writer has its number. The number
// was seen to be free at a moment.
func (c *Corrector) claim(
	ctx context.Context, row queries.Correction, seen time.Time,
) (bool, error) {
	if c.cfg.Now().Sub(seen) > staleAfter {
		state, err := c.cfg.Queries.CorrectionsState(ctx, row.Organization)
		if err != nil || state.Newest >= row.Number {
			return false, err
		}
	}
	won, err := c.insert(ctx, row)
	if err != nil || !won {
		return false, err
	}
	if err := c.apply(ctx, row); err != nil {
		return false, err
	}
	c.metrics.made.Inc()
	return true, nil
}

// insert writes a correction and reads who has its number: what an insert answers is no proof
// either way. The same row is sent again while it is not there.
func (c *Corrector) insert(ctx context.Context, row queries.Correction) (bool, error) {
	inserting, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	p := queries.CorrectionParams{Organization: row.Organization, Number: row.Number}
	wait, said := firstWait, false
	for {
		err := c.cfg.Queries.InsertCorrection(inserting, row, claimTimeout)
		winner, ok, readErr := c.cfg.Queries.CorrectionID(ctx, p)
		if readErr == nil && ok {
			return winner == row.ID, nil
		}
		if err == nil {
			err = readErr
		}
		if !said && inserting.Err() == nil {
			said = true
			c.cfg.Logger.Warn("correction was not written yet, trying again",
				"organization", row.Organization, "number", row.Number, "error", err)
		}
		if pause(inserting, &wait) != nil {
			return false, errUnavailable()
		}
	}
}

// apply brings a correction into the ledger and every rollup and notes that it is there, trying
// until it is or ctx ends. Twice is the same as once, whoever does it.
func (c *Corrector) apply(ctx context.Context, row queries.Correction) error {
	token := fmt.Sprintf("correction:%s:%d", row.Organization, row.Number)
	var batch queries.EventBatch
	own := queries.Origin{
		Node: schema.CorrectionsNode(row.Organization), Sequence: row.Number,
	}
	if err := ingest.ReadEntries(row.Entries, func(e *schema.Event, of queries.Origin) error {
		if of == (queries.Origin{}) {
			of = own
		}
		batch.Append(e, of.Node, of.Sequence)
		return nil
	}); err != nil {
		return final{fmt.Errorf("correction %d of organization %s: %w",
			row.Number, row.Organization, err)}
	}
	if err := c.cfg.Gate.Enter(ctx); err != nil {
		return errUnavailable()
	}
	defer c.cfg.Gate.Leave()
	wait, said := firstWait, false
	for {
		err := c.store(ctx, token, &batch, row)
		if err == nil {
			return nil
		}
		if !said && ctx.Err() == nil {
			said = true
			c.cfg.Logger.Warn("correction was not applied yet, trying again",
				"organization", row.Organization, "number", row.Number, "error", err)
		}
		if pause(ctx, &wait) != nil {
			return errUnavailable()
		}
	}
}

func (c *Corrector) store(
	ctx context.Context, token string, batch *queries.EventBatch, row queries.Correction,
) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if err := c.cfg.Queries.InsertEvents(ctx, token, batch); err != nil {
		return err
	}
	return c.cfg.Queries.MarkCorrectionApplied(ctx, queries.CorrectionParams{
		Organization: row.Organization, Number: row.Number,
	})
}

// The waits between tries.
const (
	firstWait = 20 * time.Millisecond
	lastWait  = time.Second
)

// pause waits between half of and the whole wait, so that nodes do not try in step, and doubles it.
func pause(ctx context.Context, wait *time.Duration) error {
	timer := time.NewTimer(*wait/2 + rand.N(*wait/2))
	defer timer.Stop()
	*wait = min(2**wait, lastWait)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
