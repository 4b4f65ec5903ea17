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

var usageRecord = ask("usage_record", func(p UsageRecordParams) []any {
	return []any{
		id("organization", p.Organization),
		id("event", p.Event),
		id("corrections_node", schema.CorrectionsNode(p.Organization)),
	}
}, intoUsageRecord)

// UsageRecord returns the newest revision of an event that is not reversed, and false when the
// event is unknown, deleted, or counts no units.
func (q *Queries) UsageRecord(
	ctx context.Context, p UsageRecordParams,
) (UsageRecord, bool, error) {
	return first(ctx, q.conn, usageRecord, p)
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
