package queries

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// UsageRecord is an event's count of units (schema.Units) in its current revision.
type UsageRecord struct {
	ID          uuid.UUID
	User        uuid.UUID
	APIName     string
	Endpoint    string
	Units       schema.Quantity
	CostUSD     schema.USD // billed
	ProviderKey string     // obfuscated
	Time        time.Time
	Revision    uint32
}

func intoUsageRecord(r *UsageRecord) []any {
	return []any{
		&r.ID, &r.User, &r.APIName, &r.Endpoint,
		&r.Units, &r.CostUSD, &r.ProviderKey, &r.Time, &r.Revision,
	}
}

// UsageRecordParams asks about one event.
type UsageRecordParams struct {
	Organization uuid.UUID
	Event        uuid.UUID
}

// usageRecord asks for what a UsageRecord shows of an event's entries.
var usageRecord = askByID("usage_record", "usage_record_search", func(r *entryRow) []any {
	e, m := &r.event, &r.measurement
	return []any{
		&e.ID, &e.Revision, &r.entry, &e.Time, &e.IngestTime, &e.User,
		&e.APIName, &e.Endpoint, &e.ProviderKey,
		&m.UsageType, &m.Quantity, &m.BilledCost,
		&r.origin.Node, &r.origin.Sequence,
	}
})

// UsageRecord returns the current revision of an event, and false when the event is unknown,
// deleted, or counts no units.
func (q *Queries) UsageRecord(
	ctx context.Context, p UsageRecordParams,
) (UsageRecord, bool, error) {
	_, all, err := q.eventByID(ctx, usageRecord, EventParams(p))
	if err != nil || len(all) == 0 || all[len(all)-1].Reversed {
		return UsageRecord{}, false, err
	}
	e := &all[len(all)-1].Event
	for _, m := range e.Measurements {
		if m.UsageType == schema.Units {
			return UsageRecord{
				ID: e.ID, User: e.User, APIName: e.APIName, Endpoint: e.Endpoint,
				Units: m.Quantity, CostUSD: m.BilledCost, ProviderKey: e.ProviderKey,
				Time: e.Time, Revision: e.Revision,
			}, true, nil
		}
	}
	return UsageRecord{}, false, nil
}

// UsageRecordsParams asks for a page of an organization's records.
type UsageRecordsParams struct {
	Organization uuid.UUID
	User         uuid.UUID // zero: every user's
	Offset       uint64
	Limit        uint64
}

var usageRecords = ask("usage_records", func(p UsageRecordsParams) []any {
	return []any{
		id("organization", p.Organization),
		id("user", p.User),
		number("offset", p.Offset),
		number("limit", p.Limit),
		id("corrections_node", schema.CorrectionsNode(p.Organization)),
	}
}, intoUsageRecord)

// UsageRecords returns records in their current revisions, ordered by time, then id.
func (q *Queries) UsageRecords(ctx context.Context, p UsageRecordsParams) ([]UsageRecord, error) {
	return collect(ctx, q.conn, usageRecords, p)
}
