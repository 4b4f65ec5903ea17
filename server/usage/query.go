package usage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
	"github.com/meterhouse/meterhouse/server/tabular"
)

const queryPath = "/v1/usage/query"

// mountQuery registers the routes by method: fiber's Get would answer HEAD as well.
func (d *api) mountQuery(r fiber.Router) {
	r.Add(fiber.MethodGet, queryPath, d.getQuery)
	r.Add(fiber.MethodPost, queryPath, d.postQuery)
	r.Add(fiber.MethodGet, "/v1/agents/:id/usage", d.agentUsage)
}

// getQuery answers the question in a URL.
func (d *api) getQuery(c *fiber.Ctx) error {
	who, err := d.caller(c)
	if err != nil {
		return err
	}
	p, err := readParams(c, queryParams...)
	if err != nil {
		return err
	}
	q, err := p.question()
	if err != nil {
		return err
	}
	if err := scope(who, &q); err != nil {
		return err
	}
	return d.send(c, p, q)
}

// questionBytesMax is more than the largest question has.
const questionBytesMax = 1 << 20

// postQuery answers the question in a body.
func (d *api) postQuery(c *fiber.Ctx) error {
	who, err := d.caller(c)
	if err != nil {
		return err
	}
	if _, err := readParams(c); err != nil {
		return err
	}
	if !dialect.IsJSON(c.Get(fiber.HeaderContentType)) {
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentType, "must be application/json")
	}
	text, err := dialect.ReadBodyUpTo(c, who.Organization, questionBytesMax)
	if err != nil {
		return err
	}
	p, err := parseParams(text, queryParams...)
	if err != nil {
		return err
	}
	q, err := p.question()
	if err != nil {
		return err
	}
	if err := scope(who, &q); err != nil {
		return err
	}
	return d.send(c, p, q)
}

// send answers a valid question that the caller may ask. A client that has the answer already is
// told so without the question being asked.
func (d *api) send(c *fiber.Ctx, p params, q schema.UsageQuery) error {
	format, err := p.format(c)
	if err != nil {
		return err
	}
	tag := ""
	if c.Method() == fiber.MethodGet { // no other's answers are kept
		ctx, cancel := dialect.Reading(c)
		version, err := d.door.Usage.Version(ctx, q)
		cancel()
		if err != nil {
			return err
		}
		tag = tagOf(version, q, format)
		if hasTag(header(c, fiber.HeaderIfNoneMatch), tag) {
			private(c, tag)
			return c.SendStatus(fiber.StatusNotModified)
		}
	}
	encoding := dialect.Identity
	if format != schema.FormatParquet { // whose columns are compressed already
		encoding = acceptedEncoding(header(c, fiber.HeaderAcceptEncoding))
	}
	return d.door.Respond(c, encoding, func() {
		private(c, tag)
		c.Set(fiber.HeaderContentType, tabular.ContentType(format))
		if suffix := suffixes[format]; suffix != "" {
			c.Set(fiber.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="usage_%s_%s%s"`,
				q.From.In(q.Zone).Format("20060102"), q.To.In(q.Zone).Format("20060102"), suffix))
		}
	}, func(ctx context.Context, w io.Writer) error { return d.rowsOf(ctx, w, q, format) })
}

// suffixes of the formats that are files to people.
var suffixes = map[schema.ExportFormat]string{
	schema.FormatCSV: ".csv", schema.FormatParquet: ".parquet", schema.FormatArrow: ".arrows",
}

// private lets nobody but the caller keep an answer, and the caller only to ask whether it changed.
func private(c *fiber.Ctx, tag string) {
	c.Set(fiber.HeaderVary, "Accept, Accept-Encoding, Agent-Secret-Key, Authorization")
	if tag == "" {
		c.Set(fiber.HeaderCacheControl, "no-store")
		return
	}
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	c.Set(fiber.HeaderETag, tag)
}

// tagOf returns the entity tag of an answer. It is weak: what is compressed is the same answer.
func tagOf(version string, q schema.UsageQuery, format schema.ExportFormat) string {
	h := sha256.New()
	say := func(values ...string) {
		for _, v := range values {
			_, _ = fmt.Fprintf(h, "%d %s\n", len(v), v) // a hash takes everything
		}
	}
	say(version, q.Organization.String(), string(q.Granularity), q.Zone.String(), string(q.OrderBy),
		fmt.Sprint(q.Top, q.From.UnixMicro(), q.To.UnixMicro()), string(format))
	for _, d := range q.GroupBy {
		say(string(d))
	}
	for _, d := range schema.Dimensions() {
		if values := q.Filters[d]; len(values) > 0 {
			say(schema.FilterName(d))
			say(values...)
		}
	}
	const bytes = 16
	return `W/"` + hex.EncodeToString(h.Sum(nil)[:bytes]) + `"`
}

// hasTag reports whether an If-None-Match header has a tag. Quoted commas are in none of ours.
func hasTag(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// agentDays is the range of an agent's usage when none is given.
const agentDays = 30

// agentUsage answers what the agent of the path used: in the last 30 days by usage type, unless it
// is asked otherwise.
func (d *api) agentUsage(c *fiber.Ctx) error {
	who, err := d.caller(c)
	if err != nil {
		return err
	}
	p, err := readParams(c, queryParams...)
	if err != nil {
		return err
	}
	if _, given := p[schema.FilterName(schema.DimensionAgent)]; given {
		return schema.Errorf(schema.Unreadable, schema.FilterName(schema.DimensionAgent),
			"is not a parameter: the agent is in the path")
	}
	q, err := p.question()
	if err != nil {
		return err
	}
	if slices.Contains(q.GroupBy, schema.DimensionAgent) {
		return schema.Errorf(schema.Unreadable, "group_by", "has one agent_id only: the path's")
	}
	if q.Organization, err = organizationOf(who, q.Organization); err != nil {
		return err
	}
	id, _ := parseID(strings.Clone(c.Params("id")))
	agent, known := d.door.Access.Snapshot().Agent(id)
	if !known || agent.Organization != q.Organization || who.Agent != uuid.Nil && who.Agent != id {
		return schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	q.Filters[schema.DimensionAgent] = []string{id.String()}
	d.agentDefaults(p, &q)
	if err := scope(who, &q); err != nil {
		return err
	}
	return d.send(c, p, q)
}

// agentDefaults fills in what was not asked for: today and the 29 days before it, on the clock of
// the zone, so that the answer to the same question is the same all day when nothing was used.
func (d *api) agentDefaults(p params, q *schema.UsageQuery) {
	if _, given := p["group_by"]; !given {
		q.GroupBy = []schema.Dimension{schema.DimensionUsageType}
	}
	now := d.door.Now().In(q.Zone)
	if q.To.IsZero() {
		q.To = schema.DayStart(now.Year(), now.Month(), now.Day()+1, q.Zone)
	}
	if q.From.IsZero() {
		end := q.To.Add(-1).In(q.Zone)
		q.From = schema.DayStart(end.Year(), end.Month(), end.Day()+1-agentDays, q.Zone)
	}
}
