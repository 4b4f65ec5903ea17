package usage

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// The range of anomalies, when none is asked for, and at most; and how many of them.
const (
	anomaliesDefault      = 24 * time.Hour
	anomaliesMax          = 31 * 24 * time.Hour
	anomaliesLimitDefault = 100
	anomaliesLimitMax     = 1000
)

// anomaliesEarliest is the first hour that may be asked for: times begin in 1970, and an hour is
// compared with those of eight weeks.
var anomaliesEarliest = time.Date(1971, time.January, 1, 0, 0, 0, 0, time.UTC)

// mountAnomalies registers the route by its method: fiber's Get would answer HEAD as well.
func (d *api) mountAnomalies(r fiber.Router) {
	r.Add(fiber.MethodGet, "/v1/usage/anomalies", d.anomalies)
}

// anomaly is an hour outside an agent's rhythm, on the wire.
type anomaly struct {
	Agent     uuid.UUID   `json:"agent_id"`
	Hour      time.Time   `json:"hour"`
	UsageType string      `json:"usage_type"`
	Quantity  string      `json:"quantity"`
	Expected  string      `json:"expected"`
	Low       string      `json:"low"`
	High      string      `json:"high"`
	Hours     int64       `json:"hours_compared"`
	Score     json.Number `json:"score"`
}

// anomalies answers hours in which an agent used far more or less than it does.
func (d *api) anomalies(c *fiber.Ctx) error {
	who, err := d.caller(c)
	if err != nil {
		return err
	}
	p, err := d.anomaliesParams(c, who)
	if err != nil {
		return err
	}
	limit := p.Limit
	p.Limit++ // one more tells whether there are more
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	found, err := d.door.Usage.Anomalies(ctx, p)
	if err != nil {
		return err
	}
	answer := struct {
		From  time.Time `json:"from"`
		To    time.Time `json:"to"`
		Items []anomaly `json:"anomalies"`
		More  bool      `json:"more"`
	}{p.From, p.To, []anomaly{}, len(found) > limit}
	for _, a := range found[:min(len(found), limit)] {
		answer.Items = append(answer.Items, anomaly{
			a.Agent, a.Hour.UTC(), a.UsageType, a.Quantity.String(), a.Expected.String(),
			a.Low.String(), a.High.String(), a.Hours, hundredths(a.Score),
		})
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}

// hundredths writes n hundredths as a number.
func hundredths(n int64) json.Number {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	text := strconv.FormatInt(n/100, 10)
	if part := n % 100; part != 0 {
		text += "." + strconv.FormatInt(100+part, 10)[1:]
	}
	return json.Number(sign + text)
}

// anomaliesParams reads what is asked for, and narrows it to what the caller may see.
func (d *api) anomaliesParams(
	c *fiber.Ctx, who access.Caller,
) (p schema.AnomaliesParams, err error) {
	q, err := readParams(c, "from", "to", "agent_id", "limit", "organization_id")
	if err != nil {
		return p, err
	}
	for name := range q {
		if isFilter(name) {
			return p, unknown(name)
		}
	}
	if p.Organization, err = q.organization(); err != nil {
		return p, err
	}
	if p.Organization, err = organizationOf(who, p.Organization); err != nil {
		return p, err
	}
	if text, ok := q.get("agent_id"); ok {
		if p.Agent, ok = parseID(text); !ok || p.Agent == uuid.Nil {
			return p, schema.Errorf(schema.Unreadable, "agent_id", "must be a UUID")
		}
	}
	if p.Agent, err = d.anomaliesAgent(who, p.Agent); err != nil {
		return p, err
	}
	p.Limit = anomaliesLimitDefault
	if text, ok := q.get("limit"); ok {
		p.Limit, err = strconv.Atoi(text)
		if err != nil || p.Limit < 1 || p.Limit > anomaliesLimitMax {
			return p, schema.Errorf(schema.Unreadable, "limit", "must be 1 to %d", anomaliesLimitMax)
		}
	}
	p.From, p.To, err = q.anomaliesRange(d.door.Now())
	return p, err
}

// anomaliesAgent returns the agent whose hours a caller may ask for; zero means all: an admin. The
// rhythm of an agent is of what all its users did, so that a member sees those of own agents only.
func (d *api) anomaliesAgent(who access.Caller, asked uuid.UUID) (uuid.UUID, error) {
	switch {
	case who.Agent != uuid.Nil && asked == uuid.Nil:
		return who.Agent, nil
	case who.Agent != uuid.Nil && asked != who.Agent:
		return asked, schema.Errorf(schema.Forbidden, "agent_id", "is not the caller")
	case who.Agent != uuid.Nil || who.Role >= schema.Admin:
		return asked, nil
	}
	agent, ok := d.door.Access.Snapshot().Agent(asked)
	if !ok || who.User == uuid.Nil || agent.Owner != who.User ||
		agent.Organization != who.Organization {
		return asked, schema.Errorf(schema.Forbidden, "agent_id",
			"must be an agent that the caller owns: only an admin may see others")
	}
	return asked, nil
}

// anomaliesRange reads the range, widened to whole hours. It ends with the last hour that is over.
func (p params) anomaliesRange(now time.Time) (from, to time.Time, err error) {
	over := now.UTC().Truncate(time.Hour)
	if to, err = p.instant("to", time.UTC); err != nil {
		return from, to, err
	}
	if _, given := p.get("to"); !given {
		to = over
	} else if whole := to.Truncate(time.Hour); whole.Before(to) {
		to = whole.Add(time.Hour)
	}
	if from, err = p.instant("from", time.UTC); err != nil {
		return from, to, err
	}
	if _, given := p.get("from"); !given {
		from = to.Add(-anomaliesDefault)
	}
	from = from.Truncate(time.Hour)
	switch {
	case !from.Before(to):
		return from, to, schema.Errorf(schema.Unreadable, "to", "must be after from")
	case from.Before(anomaliesEarliest):
		return from, to, schema.Errorf(schema.Unreadable, "from", "must not be before 1971")
	case to.Sub(from) > anomaliesMax:
		return from, to, schema.Errorf(schema.Unreadable, "from",
			"must be at most 31 days before to")
	case to.After(over):
		to = over
		if from.After(to) {
			from = to
		}
	}
	return from, to, nil
}
