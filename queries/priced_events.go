package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Place is a place in the order in which the ledger keeps an organization's events. The zero
// Place is before all of them.
type Place struct {
	Agent uuid.UUID
	Time  time.Time
	Event uuid.UUID
}

// PricedEventsParams asks for the next events in [From, To) that a rate may price.
type PricedEventsParams struct {
	Organization uuid.UUID
	Model        string    // empty: any
	From         time.Time // zero: unbounded
	To           time.Time // zero: unbounded
	After        Place
	Limit        uint64 // at most so many events
}

// rowsPerEvent is how many measurements an event has, more or less: a page of events that have more
// is not full.
const rowsPerEvent = 3

var pricedEvents = ask("priced_events", func(p PricedEventsParams) []any {
	from, to := storable(p.From), latest
	if !p.To.IsZero() {
		to = storable(p.To)
	}
	return []any{
		id("organization", p.Organization),
		text("model", p.Model),
		moment("from", from),
		moment("to", to),
		id("after_agent", p.After.Agent),
		moment("after_time", storable(p.After.Time)),
		id("after_event", p.After.Event),
		number("rows", rowsPerEvent*p.Limit),
	}
}, intoEntry)

// PricedEvents returns those of the next events whose current revision is among what was asked for,
// in the ledger's order, and the place of the last of all that it looked at; false when there are no
// more. An event's rows that a filter leaves out are of other revisions.
func (q *Queries) PricedEvents(
	ctx context.Context, p PricedEventsParams,
) (current []schema.Event, last Place, more bool, err error) {
	var one ledgerEvent // under way
	finish := func() {
		for _, r := range one.revisions() {
			if !r.Reversed {
				current = append(current, r.Event)
			}
		}
		one = ledgerEvent{}
	}
	seen := uint64(0)
	err = stream(ctx, q.conn, pricedEvents, p, func(r entryRow) error {
		place := Place{r.event.Agent, r.event.Time.UTC(), r.event.ID}
		if place != last {
			finish()
			if seen++; seen > p.Limit {
				return errStop
			}
		}
		r.event.Organization = p.Organization
		one.add(r)
		last, more = place, true
		return nil
	})
	finish()
	return current, last, more, err
}

var usageOrganizations = ask("usage_organizations", func(p VerifyParams) []any {
	from, to := storable(p.From).Truncate(time.Hour), latest
	if !p.To.IsZero() {
		to = storable(p.To)
	}
	return []any{second("from", from), second("to", to)}
}, func(id *uuid.UUID) []any { return []any{id} })

// UsageOrganizations returns the organizations that used anything in the hours that touch
// [From, To), whether the catalog has them or not.
func (q *Queries) UsageOrganizations(ctx context.Context, p VerifyParams) ([]uuid.UUID, error) {
	return collect(ctx, q.conn, usageOrganizations, p)
}
