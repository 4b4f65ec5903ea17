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
	actor, reason  string
}

func intoEntryRow(r *entryRow) []any {
	return append(intoEntry(r), &r.actor, &r.reason)
}

// intoEntry leaves out who made it and why.
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

var eventEntries = ask("event_entries", func(p EventParams) []any {
	return []any{
		id("organization", p.Organization),
		id("event", p.Event),
		id("corrections_node", schema.CorrectionsNode(p.Organization)),
	}
}, intoEntryRow)

// EventRevisions returns every revision of an event, the first one first; none when the
// organization has no such event. Of several copies of its first revision it is the one that stays.
func (q *Queries) EventRevisions(ctx context.Context, p EventParams) ([]Revision, error) {
	var one ledgerEvent
	err := stream(ctx, q.conn, eventEntries, p, func(r entryRow) error {
		r.event.Organization = p.Organization
		one.add(r)
		return nil
	})
	return one.revisions(), err
}
