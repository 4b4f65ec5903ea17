package queries

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// EventsParams asks for the newest events of an organization in [From, Before), of the agent, the
// user, the model, the service and with the usage type that are not zero. Only their newest
// revision is asked about.
type EventsParams struct {
	Organization uuid.UUID
	Agent, User  uuid.UUID
	Model        string
	Service      string
	UsageType    string
	Voided       bool // those that nothing counts of any more, too
	From         time.Time
	Before       EventPosition
	Limit        int
}

// EventPosition is a place in the order of events: those before it have an earlier time or, of the
// same time, an id that the ledger sorts before. The zero id is before every event of the time.
type EventPosition struct {
	Time time.Time
	ID   uuid.UUID
}

// EventsPage is a part of the events that were asked for, the newest first.
type EventsPage struct {
	Events []Revision
	// Next is where to go on, before which there may be more; nil: there are none. A page may be
	// short, or empty, and have a Next: finding the rest takes longer than one page may.
	Next *EventPosition
}

// eventsWindow is a stretch of time that has events.
type eventsWindow struct {
	from, to time.Time
	found    uint64
}

func intoEventsWindow(w *eventsWindow) []any { return []any{&w.from, &w.to, &w.found} }

type eventsWindowParams struct {
	EventsParams
	count int
}

// bounds returns the parameters of a window's range, in seconds that hold it.
func (p eventsWindowParams) bounds(step time.Duration) []any {
	to := p.Before.Time.Truncate(time.Second)
	if p.Before.ID != uuid.Nil || to.Before(p.Before.Time) {
		to = to.Add(time.Second)
	}
	return []any{
		id("organization", p.Organization), text("usage_type", p.UsageType),
		second("from", p.From.Truncate(step)), second("to", to),
		clickhouse.Named("count", int64(p.count)),
	}
}

// The windows: whichever of the rollups knows the most of what is asked for, and is the smallest.
var (
	eventsHours = ask("events_hours", func(p eventsWindowParams) []any {
		return append(p.bounds(time.Hour), text("model", p.Model))
	}, intoEventsWindow).with(eventsSettings())
	eventsQuarters = ask("events_quarters", func(p eventsWindowParams) []any {
		return append(p.bounds(quarter), id("agent", p.Agent), text("model", p.Model),
			text("service", p.Service))
	}, intoEventsWindow).with(eventsSettings())
	eventsDays = ask("events_days", func(p eventsWindowParams) []any {
		return append(p.bounds(24*time.Hour), id("agent", p.Agent), id("user", p.User))
	}, intoEventsWindow).with(eventsSettings())
)

// eventsSettings are those of an analyst's question that few cores answer: somebody waits for a
// page, and it is not large.
func eventsSettings() clickhouse.Settings { return hourSettings() }

// eventPlace is where an entry of an event lies.
type eventPlace struct {
	agent uuid.UUID
	at    EventPosition
}

var eventsFound = ask("events_found", func(p EventsParams) []any {
	return []any{
		id("organization", p.Organization), id("agent", p.Agent), id("user", p.User),
		text("model", p.Model), text("service", p.Service), text("usage_type", p.UsageType),
		clickhouse.Named("reversed", p.Voided),
		moment("from", p.From), moment("before", p.Before.Time), id("before_id", p.Before.ID),
		number("limit", uint64(p.Limit)),
	}
}, func(e *eventPlace) []any {
	return []any{&e.agent, &e.at.Time, &e.at.ID}
}).with(eventsSettings())

type eventsEntriesParams struct {
	organization   uuid.UUID
	events, agents []uuid.UUID
	times          []time.Time
}

var eventsEntries = ask("events_entries", func(p eventsEntriesParams) []any {
	return []any{
		id("organization", p.organization), ids("events", p.events),
		ids("agents", p.agents), moments("times", p.times),
	}
}, intoEntry).with(oneThread)

// Bounds of what a page looks through. Windows grow while they have little: what a rollup cannot
// tell, as whose the events of an hour are, may be rare in them.
const (
	eventsWindowsMax  = 24
	eventsWindowMax   = 31 * 24 * time.Hour
	eventsGrowth      = 4
	eventsVoidedFirst = time.Hour // the first window where no rollup tells: voided events are in none
)

// Events returns the newest events, newest first. A page costs what the hours hold that have its
// events, and, where no rollup tells which these are, what lies between.
func (q *Queries) Events(ctx context.Context, p EventsParams) (page EventsPage, err error) {
	p.From, p.Before.Time = storable(p.From), storable(p.Before.Time)
	s := eventsSearch{queries: q, params: p, at: p.Before, count: p.Limit + 1}
	s.width = eventsVoidedFirst
	for range eventsWindowsMax {
		if done, err := s.window(ctx); err != nil || done {
			return s.page(done), err
		}
	}
	return s.page(false), nil
}

// eventsSearch is a walk back through windows.
type eventsSearch struct {
	queries *Queries
	params  EventsParams
	at      EventPosition // everything from here on has been looked through
	count   int           // of the events that a window should have
	width   time.Duration // of the next window where no rollup tells
	found   []Revision    // one more than the limit, at most
}

func (s *eventsSearch) page(done bool) EventsPage {
	p := EventsPage{Events: s.found}
	if len(p.Events) > s.params.Limit {
		p.Events = p.Events[:s.params.Limit]
		last := p.Events[len(p.Events)-1].Event
		p.Next = &EventPosition{last.Time, last.ID}
	} else if !done {
		p.Next = &s.at
	}
	return p
}

// window looks through the next window, and reports whether the page is full or there is no more.
func (s *eventsSearch) window(ctx context.Context) (done bool, err error) {
	from, ok, err := s.next(ctx)
	if err != nil || !ok {
		return err == nil, err
	}
	p := s.params
	p.From = from
	p.Limit = 2 * (s.params.Limit + 1) // of events that were amended there are several places
	for {
		p.Before = s.at
		places, err := collect(ctx, s.queries.conn, eventsFound, p)
		if err != nil {
			return false, err
		}
		if full, err := s.add(ctx, places); err != nil || full {
			return full, err
		}
		if len(places) < p.Limit {
			s.at = EventPosition{Time: from}
			return !from.After(s.params.From), nil
		}
		s.at = places[len(places)-1].at
	}
}

// next moves to where the next window ends and returns where it begins; false when there is none.
func (s *eventsSearch) next(ctx context.Context) (from time.Time, ok bool, err error) {
	p := eventsWindowParams{s.params, s.count}
	p.Before = s.at
	s.count = min(s.count*eventsGrowth, 1<<30)
	if s.params.Voided {
		from = s.bound(s.at.Time.Add(-s.width))
		s.width *= eventsGrowth
		return from, from.Before(s.at.Time) || s.at.ID != uuid.Nil, nil
	}
	windows := eventsHours
	switch {
	case p.User != uuid.Nil:
		windows = eventsDays
	case p.Agent != uuid.Nil:
		windows = eventsQuarters
	}
	w, ok, err := first(ctx, s.queries.conn, windows, p)
	if err != nil || !ok {
		return from, false, err
	}
	if to := w.to.UTC(); to.Before(s.at.Time) {
		s.at = EventPosition{Time: to}
	}
	from = w.from.UTC()
	if w.found > uint64(16*p.count) { // far more than asked for: a part of the last period may do
		last := s.at.Time.Add(-time.Microsecond)
		if s.at.ID != uuid.Nil {
			last = s.at.Time
		}
		if part := last.Truncate(quarter); part.After(from) {
			from = part
		}
	}
	return s.bound(from), true, nil
}

// bound returns when a window begins that should begin at from.
func (s *eventsSearch) bound(from time.Time) time.Time {
	if oldest := s.at.Time.Add(-eventsWindowMax); from.Before(oldest) {
		from = oldest
	}
	if from.Before(s.params.From) {
		return s.params.From
	}
	return from
}

// add adds the events at places that are in truth what is asked for, and reports whether the page
// is full.
func (s *eventsSearch) add(ctx context.Context, places []eventPlace) (full bool, err error) {
	if len(places) == 0 {
		return false, nil
	}
	p := eventsEntriesParams{organization: s.params.Organization}
	for _, place := range places {
		p.agents = append(p.agents, place.agent)
		p.times = append(p.times, place.at.Time)
		if !slices.Contains(p.events, place.at.ID) {
			p.events = append(p.events, place.at.ID)
		}
	}
	events, err := s.queries.ledgerEvents(ctx, p)
	if err != nil {
		return false, err
	}
	for _, place := range places {
		one := events[place.at.ID]
		if one == nil { // an event may have several places
			continue
		}
		// A copy that another node accepted may have a time of its own: the event has that of the one
		// that stays.
		all := one.revisions()
		if len(all) == 0 || !all[len(all)-1].Event.Time.Equal(place.at.Time) {
			continue
		}
		delete(events, place.at.ID)
		if !s.params.shows(&all[len(all)-1]) {
			continue
		}
		s.found = append(s.found, all[len(all)-1])
		if len(s.found) > s.params.Limit {
			return true, nil
		}
	}
	return false, nil
}

// shows reports whether an event, in its newest revision, is what is asked for.
func (p *EventsParams) shows(r *Revision) bool {
	e := &r.Event
	return (p.Voided || !r.Reversed) &&
		(p.Agent == uuid.Nil || p.Agent == e.Agent) &&
		(p.User == uuid.Nil || p.User == e.User) &&
		(p.Model == "" || p.Model == e.Model) &&
		(p.Service == "" || p.Service == e.Service) &&
		(p.UsageType == "" || slices.ContainsFunc(e.Measurements,
			func(m schema.Measurement) bool { return m.UsageType == p.UsageType }))
}

// ledgerEvents returns what the ledger has of events, with who corrected them and why.
func (q *Queries) ledgerEvents(
	ctx context.Context, p eventsEntriesParams,
) (map[uuid.UUID]*ledgerEvent, error) {
	events := make(map[uuid.UUID]*ledgerEvent, len(p.events))
	for _, id := range p.events {
		events[id] = new(ledgerEvent)
	}
	err := stream(ctx, q.conn, eventsEntries, p, func(r entryRow) error {
		r.event.Organization = p.organization
		events[r.event.ID].add(r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	node := schema.CorrectionsNode(p.organization)
	var numbers []uint64
	for _, one := range events {
		numbers = append(numbers, one.corrections(node)...)
	}
	if len(numbers) == 0 {
		return events, nil
	}
	slices.Sort(numbers)
	reasons, err := collect(ctx, q.conn, correctionReasons,
		correctionReasonsParams{p.organization, slices.Compact(numbers)})
	for _, one := range events {
		one.explain(node, reasons)
	}
	return events, err
}
