package exports

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// request is what is asked, as a row has it beside its own columns.
type request struct {
	From        time.Time           `json:"from"`
	To          time.Time           `json:"to"`
	Query       *query              `json:"query,omitempty"` // absent: events
	Format      schema.ExportFormat `json:"format"`
	Destination string              `json:"destination,omitempty"`
}

type query struct {
	Granularity schema.Granularity            `json:"granularity"`
	Zone        string                        `json:"tz"`
	GroupBy     []schema.Dimension            `json:"group_by,omitempty"`
	Filters     map[schema.Dimension][]string `json:"filter,omitempty"`
	Top         int                           `json:"top,omitempty"`
	OrderBy     schema.UsageOrder             `json:"order_by,omitempty"`
}

func encode(r schema.ExportRequest) (string, error) {
	w := request{Format: r.Format, Destination: r.Destination}
	if q := r.Query; q != nil {
		w.From, w.To = q.From.UTC(), q.To.UTC()
		w.Query = &query{
			Granularity: q.Granularity, Zone: q.Zone.String(), GroupBy: q.GroupBy,
			Filters: q.Filters, Top: q.Top, OrderBy: q.OrderBy,
		}
	} else {
		w.From, w.To = r.Events.From.UTC(), r.Events.To.UTC()
	}
	text, err := json.Marshal(w)
	return string(text), err
}

// decode returns what a row asks. The error is of a row that a newer program wrote.
func decode(row queries.Export) (schema.ExportRequest, error) {
	r := schema.ExportRequest{Organization: row.Organization, By: row.By, User: row.User}
	var w request
	if err := json.Unmarshal([]byte(row.Request), &w); err != nil {
		return r, fmt.Errorf("export %s: %w", row.ID, err)
	}
	r.Format, r.Destination = w.Format, w.Destination
	if w.Query == nil {
		r.Events = &schema.EventsRange{From: w.From, To: w.To}
		return r, nil
	}
	zone, ok := schema.ParseZone(w.Query.Zone)
	if !ok {
		return r, fmt.Errorf("export %s: zone %s is unknown", row.ID, w.Query.Zone)
	}
	r.Query = &schema.UsageQuery{
		Organization: row.Organization, From: w.From.In(zone), To: w.To.In(zone),
		Granularity: w.Query.Granularity, Zone: zone, GroupBy: w.Query.GroupBy,
		Filters: w.Query.Filters, Top: w.Query.Top, OrderBy: w.Query.OrderBy,
	}
	return r, nil
}

// exportOf returns an export as it is at a moment.
func exportOf(row queries.Export, parts []queries.ExportPart, now time.Time) schema.Export {
	request, _ := decode(row) // of one that is not understood the rest is shown
	e := schema.Export{
		ID: row.ID, Request: request, State: row.State, Parts: len(row.Bounds) - 1,
		Detail: row.Detail, CreatedAt: row.CreatedAt, EndedAt: row.EndedAt,
		ExpiresAt: row.ExpiresAt,
	}
	if e.State == stateDone && overdue(row, now) {
		e.State = stateExpired // and will be noted as such
	}
	for _, p := range parts {
		if p.Export != row.ID || p.Attempt != row.Attempt {
			continue
		}
		e.PartsDone++
		e.Rows += int64(p.Rows)
		e.Bytes += int64(p.Bytes)
		if e.State == stateDone {
			e.Files = append(e.Files, schema.ExportFile{
				Name: p.Name, Rows: int64(p.Rows), Bytes: int64(p.Bytes), SHA256: p.SHA256,
			})
		}
	}
	return e
}

// overdue reports whether the time of an export's files is over.
func overdue(row queries.Export, now time.Time) bool {
	return !row.ExpiresAt.IsZero() && !row.ExpiresAt.After(now)
}

// idOf derives an export's id of its idempotency key, as that of an event is.
func idOf(r schema.ExportRequest) uuid.UUID {
	if r.Key == "" {
		return uuid.Must(uuid.NewV7())
	}
	return uuid.NewSHA1(r.Organization, []byte("export:"+r.By.String()+":"+r.Key))
}
