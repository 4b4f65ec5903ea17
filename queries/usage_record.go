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

// recordsPage asks for a part of a page, in the hours of a window.
type recordsPage struct {
	UsageRecordsParams
	window recordsWindow
}

// recordsWindow is a range of whole hours, and how many records come before it.
type recordsWindow struct {
	from, to time.Time
	before   uint64
}

var usageRecords = ask("usage_records", func(p recordsPage) []any {
	return []any{
		id("organization", p.Organization),
		id("user", p.User),
		second("from", p.window.from),
		second("to", p.window.to),
		number("offset", p.Offset),
		number("limit", p.Limit),
		id("corrections_node", schema.CorrectionsNode(p.Organization)),
	}
}, intoUsageRecord)

func intoRecordsWindow(w *recordsWindow) []any { return []any{&w.from, &w.to, &w.before} }

// The windows of a page: in the rollups a record is a measurement, and there are as many rows of an
// organization's hours in a year as there may be records in a minute.
var (
	usageRecordsHours = ask("usage_records_hours", func(p recordsPage) []any {
		return []any{
			id("organization", p.Organization), second("after", p.window.to),
			number("offset", p.Offset), number("limit", p.Limit),
		}
	}, intoRecordsWindow)
	usageRecordsDays = ask("usage_records_days", func(p recordsPage) []any {
		return []any{
			id("organization", p.Organization), id("user", p.User), second("after", p.window.to),
			number("offset", p.Offset), number("limit", p.Limit),
		}
	}, intoRecordsWindow)
)

// recordsMax bounds where a page begins and how long it is: no organization has so many records.
const recordsMax = 1 << 60

// UsageRecords returns records in their current revisions, ordered by time, then id. A page costs
// what its own hours hold, for one user its days, wherever it begins. Until copies that two nodes
// accepted are swept, they may count among the records before a page.
func (q *Queries) UsageRecords(
	ctx context.Context, p UsageRecordsParams,
) (all []UsageRecord, _ error) {
	if p.Offset > recordsMax {
		return nil, nil
	}
	p.Limit = min(p.Limit, recordsMax)
	page := recordsPage{UsageRecordsParams: p}
	page.window.to = earliest
	windows := usageRecordsHours
	if p.User != uuid.Nil {
		windows = usageRecordsDays
	}
	seen := make(map[uuid.UUID]bool)
	for page.Limit > 0 {
		window, ok, err := first(ctx, q.conn, windows, page)
		if err != nil || !ok {
			return all, err
		}
		page.window = window
		page.Offset -= window.before
		found, err := collect(ctx, q.conn, usageRecords, page)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			if !seen[r.ID] {
				seen[r.ID] = true
				all = append(all, r)
				page.Limit--
			}
		}
		page.Offset = 0 // whatever lies before this window's end is passed
	}
	return all, nil
}
