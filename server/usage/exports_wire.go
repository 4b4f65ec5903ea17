package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// exportFormats are what exports are written as.
var exportFormats = []schema.ExportFormat{
	schema.FormatNDJSON, schema.FormatCSV, schema.FormatParquet, schema.FormatArrow,
}

// exportQuestion are the members of "query": the organization is the export's.
var exportQuestion = []string{"from", "to", "granularity", "tz", "group_by", "top", "order_by"}

// exportMembers are those of a body.
var exportMembers = []string{"query", "events", "format", "destination", "organization_id"}

// parseExport reads the body of a request for an export, of what its caller may see.
func parseExport(body []byte, who access.Caller) (schema.ExportRequest, error) {
	r := schema.ExportRequest{By: who.User}
	members, err := exportBody(body)
	if err != nil {
		return r, err
	}
	text := make(map[string]string)
	for _, name := range []string{"format", "destination", "organization_id"} {
		raw, given := members[name]
		if !given {
			continue
		}
		var value string
		if json.Unmarshal(raw, &value) != nil || string(raw) == "null" {
			return r, schema.Errorf(schema.Unreadable, name, "must be a text")
		}
		text[name] = value
	}
	if r.Organization, err = exportOrganization(text, who); err != nil {
		return r, err
	}
	if who.Role < schema.Admin {
		r.User = who.User
	}
	if r.Format = schema.ExportFormat(text["format"]); !slices.Contains(exportFormats, r.Format) {
		return r, schema.Errorf(schema.Unreadable, "format",
			"must be one of ndjson, csv, parquet, arrow")
	}
	if r.Destination, err = exportDestination(text, who); err != nil {
		return r, err
	}
	query, asksQuery := members["query"]
	events, asksEvents := members["events"]
	switch {
	case asksQuery && asksEvents:
		return r, schema.Errorf(schema.Unreadable, "events", "must be absent where query is given")
	case asksQuery:
		r.Query, err = exportQuery(query, who, r.Organization)
		return r, within("query", err)
	case asksEvents:
		r.Events, err = exportEvents(events)
		return r, within("events", err)
	}
	return r, schema.Errorf(schema.Unreadable, "query", "is required, or events")
}

// exportBody reads the members of a body, each once.
func exportBody(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, schema.Errorf(schema.Unreadable, "", "the body must be valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	all := make(map[string]json.RawMessage)
	err := object(d, func(name string) error {
		if _, twice := all[name]; twice {
			return schema.Errorf(schema.Unreadable, dialect.Clip(name), "is given twice")
		}
		if !slices.Contains(exportMembers, name) {
			return unknown(name)
		}
		var raw json.RawMessage
		err := d.Decode(&raw)
		all[name] = raw
		return err
	})
	if err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, notJSON(errSyntax)
	}
	return all, nil
}

// exportOrganization returns the organization that a body asks for, or the caller's.
func exportOrganization(text map[string]string, who access.Caller) (uuid.UUID, error) {
	p := make(params)
	if id, given := text["organization_id"]; given {
		p["organization_id"] = []string{id}
	}
	asked, err := p.organization()
	if err != nil {
		return asked, err
	}
	return organizationOf(who, asked)
}

// exportDestination returns the bucket that a body names. It is the operator's: what goes there is
// not for everybody to say.
func exportDestination(text map[string]string, who access.Caller) (string, error) {
	const lettersMax = 64
	name, given := text["destination"]
	switch {
	case !given:
		return "", nil
	case name == "" || len(name) > lettersMax:
		return "", schema.Errorf(schema.Unreadable, "destination", "must have 1 to 64 characters")
	case who.Role < schema.Admin:
		return "", schema.Errorf(schema.Forbidden, "destination",
			"is for admins: leave it out, and download the files")
	}
	return name, nil
}

func exportQuery(
	raw []byte, who access.Caller, organization uuid.UUID,
) (*schema.UsageQuery, error) {
	p, err := parseParams(raw, exportQuestion...)
	if err != nil {
		return nil, err
	}
	q, err := p.question()
	if err != nil {
		return nil, err
	}
	q.Organization = organization
	return &q, scope(who, &q)
}

// exportEvents reads a range of the ledger.
func exportEvents(raw []byte) (*schema.EventsRange, error) {
	p, err := parseParams(raw, "from", "to")
	if err != nil {
		return nil, err
	}
	for name := range p {
		if isFilter(name) {
			return nil, unknown(name)
		}
	}
	q := schema.UsageQuery{ // whose rules for a range are the same
		Organization: uuid.Max, Granularity: schema.Total, Zone: time.UTC,
	}
	if q.From, err = p.instant("from", time.UTC); err != nil {
		return nil, err
	}
	if q.To, err = p.instant("to", time.UTC); err != nil {
		return nil, err
	}
	if wrong := q.Validate(); wrong != nil {
		return nil, wrong
	}
	return &schema.EventsRange{From: q.From, To: q.To}, nil
}

// within names the member that a field at fault is in.
func within(member string, err error) error {
	known := (*schema.Error)(nil)
	if err == nil || !errors.As(err, &known) {
		return err
	}
	inside := *known
	if inside.Field = member + "." + known.Field; known.Field == "" {
		inside.Field, inside.Message = member, "must be an object"
	}
	return &inside
}

// export is an export on the wire.
type export struct {
	ID           uuid.UUID           `json:"id"`
	State        schema.ExportState  `json:"state"`
	Organization uuid.UUID           `json:"organization_id"`
	By           uuid.UUID           `json:"requested_by"`
	User         *uuid.UUID          `json:"user_id"`
	Query        *exportedQuery      `json:"query,omitempty"`
	Events       *exportedRange      `json:"events,omitempty"`
	Format       schema.ExportFormat `json:"format"`
	Destination  *string             `json:"destination"`
	Progress     exportProgress      `json:"progress"`
	Files        []exportedFile      `json:"files"`
	Detail       string              `json:"detail,omitempty"`
	CreatedAt    time.Time           `json:"created_at"`
	EndedAt      *time.Time          `json:"ended_at"`
	ExpiresAt    *time.Time          `json:"expires_at"`
}

type exportedQuery struct {
	exportedRange
	Granularity schema.Granularity            `json:"granularity"`
	Zone        string                        `json:"tz"`
	GroupBy     []schema.Dimension            `json:"group_by"`
	Filters     map[schema.Dimension][]string `json:"filter"`
	Top         int                           `json:"top,omitempty"`
	OrderBy     schema.UsageOrder             `json:"order_by,omitempty"`
}

type exportedRange struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type exportProgress struct {
	Parts     int   `json:"parts"`
	PartsDone int   `json:"parts_done"`
	Rows      int64 `json:"rows"`
	Bytes     int64 `json:"bytes"`
}

// exportedFile has a url, unless it is an object in a bucket, and a hash, unless the engine wrote
// it.
type exportedFile struct {
	Name   string `json:"name"`
	URL    string `json:"url,omitempty"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
}

func exportOf(who access.Caller, x schema.Export) export {
	r := x.Request
	e := export{
		ID: x.ID, State: x.State, Organization: r.Organization, By: r.By, Format: r.Format,
		Progress: exportProgress{x.Parts, x.PartsDone, x.Rows, x.Bytes},
		Files:    []exportedFile{}, Detail: x.Detail, CreatedAt: x.CreatedAt.UTC(),
		EndedAt: orNull(x.EndedAt), ExpiresAt: orNull(x.ExpiresAt),
	}
	if r.User != uuid.Nil {
		e.User = &r.User
	}
	if r.Destination != "" {
		e.Destination = &r.Destination
	}
	if r.Events != nil {
		e.Events = &exportedRange{r.Events.From.UTC(), r.Events.To.UTC()}
	}
	if q := r.Query; q != nil {
		e.Query = &exportedQuery{
			exportedRange{q.From.UTC(), q.To.UTC()}, q.Granularity, q.Zone.String(),
			append([]schema.Dimension{}, q.GroupBy...), filtersOf(q), q.Top, q.OrderBy,
		}
	}
	for _, f := range x.Files {
		file := exportedFile{Name: f.Name, Rows: f.Rows, Bytes: f.Bytes, SHA256: f.SHA256}
		if r.Destination == "" {
			file.URL = exportURL(who, x, f.Name)
		}
		e.Files = append(e.Files, file)
	}
	return e
}

// orNull returns nil for a zero moment.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// sendExport answers with JSON that nobody but the caller may keep.
func sendExport(c *fiber.Ctx, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	c.Status(status).Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}

// filtersOf returns the filters of a query, never nil.
func filtersOf(q *schema.UsageQuery) map[schema.Dimension][]string {
	if q.Filters == nil {
		return map[schema.Dimension][]string{}
	}
	return q.Filters
}
