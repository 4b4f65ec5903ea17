package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// Revision is what the ledger says of an event since a correction, or since it was recorded.
type Revision struct {
	Event    schema.Event // Entry is Record; no Key
	Reversed bool         // a later revision, or nothing, counts in its place
	Actor    string       // who corrected; empty for the first
	Reason   string

	ReversedAt     time.Time // of a reversed one, when, by whom and why
	ReversedBy     string
	ReversedReason string
}

// EventParams asks about one event.
type EventParams struct {
	Organization uuid.UUID
	Event        uuid.UUID
}

// entryRow is one entry of the ledger: an event with one measurement.
type entryRow struct {
	event          schema.Event
	measurement    schema.Measurement
	entry, pricing int8
	origin         Origin
}

func intoEntry(r *entryRow) []any {
	e, m := &r.event, &r.measurement
	return []any{
		&e.ID, &e.Revision, &r.entry, &e.Time, &e.IngestTime, &e.User, &e.Agent,
		&e.Service, &e.Channel, &e.APIName, &e.Endpoint,
		&e.Provider, &e.ProviderEndpoint, &e.ProviderKey, &e.Model, &e.Chargeable, &e.Purpose,
		&m.UsageType, &m.Quantity, &m.ProviderCost, &m.BilledCost, &m.Rate, &r.pricing,
		&r.origin.Node, &r.origin.Sequence,
	}
}

// byID are two ways to the ledger's entries about one event: at the places that are noted of it, a
// few granules, and by its id, which looks into a filter of every granule of the organization.
type byID struct {
	places, search question[EventParams, entryRow]
}

func askByID(places, search string, into func(*entryRow) []any) byID {
	bind := func(p EventParams) []any {
		return []any{id("organization", p.Organization), id("event", p.Event)}
	}
	return byID{ask(places, bind, into).with(oneThread), ask(search, bind, into)}
}

var eventEntries = askByID("event_entries", "event_entries_search", intoEntry)

// eventByID returns what the ledger has of an event. What lies at the event's places is believed
// if it is whole: it begins with the first revision and its last one counts. Else the event is
// unknown or voided, or its places are not all noted: it was stored before places were, or is being
// stored.
func (q *Queries) eventByID(
	ctx context.Context, by byID, p EventParams,
) (one ledgerEvent, all []Revision, err error) {
	for _, way := range []question[EventParams, entryRow]{by.places, by.search} {
		one = ledgerEvent{}
		err = stream(ctx, q.conn, way, p, func(r entryRow) error {
			r.event.Organization = p.Organization
			one.add(r)
			return nil
		})
		if err != nil {
			return one, nil, err
		}
		all = one.revisions()
		whole := len(all) > 0 && all[0].Event.Revision == 0 && !all[len(all)-1].Reversed
		if whole {
			break
		}
	}
	return one, all, nil
}

// EventRevisions returns every revision of an event, the first one first; none when the
// organization has no such event. Of several copies of its first revision it is the one that stays.
func (q *Queries) EventRevisions(ctx context.Context, p EventParams) ([]Revision, error) {
	one, all, err := q.eventByID(ctx, eventEntries, p)
	if err != nil {
		return nil, err
	}
	numbers := one.corrections(schema.CorrectionsNode(p.Organization))
	if len(numbers) == 0 {
		return all, nil
	}
	reasons, err := collect(ctx, q.conn, correctionReasons,
		correctionReasonsParams{p.Organization, numbers})
	if err != nil {
		return nil, err
	}
	one.explain(schema.CorrectionsNode(p.Organization), reasons)
	return one.revisions(), nil
}

type correctionReasonsParams struct {
	organization uuid.UUID
	numbers      []uint64
}

// correctionReason is who made a correction, and why.
type correctionReason struct {
	number        uint64
	actor, reason string
}

var correctionReasons = ask("correction_reasons", func(p correctionReasonsParams) []any {
	return []any{
		id("organization", p.organization), numbers("numbers", p.numbers),
	}
}, func(r *correctionReason) []any { return []any{&r.number, &r.actor, &r.reason} })
