// Package digitalocean serves DigitalOcean's GenAI agent usage, so that its client libraries read
// an agent's tokens from the ledger unchanged.
package digitalocean

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

type api struct{ door dialect.Door }

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "digitalocean",
		Prefixes:   []string{"/v2/"},
		Mount:      d.mount,
		WriteError: d.writeError,
	}
}

// mount registers the route in both spellings: the reference has the hyphen, its own curl sample
// does not.
func (d *api) mount(r fiber.Router) {
	r.Get("/v2/gen-ai/agents/:uuid/usage", d.usage)
	r.Get("/v2/genai/agents/:uuid/usage", d.usage)
}

func (d *api) usage(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	agent, err := agentOf(c, d.door.Access.Snapshot(), caller)
	if err != nil {
		return err
	}
	asked, err := decodeInterval(c.Query("start"), c.Query("stop"), d.door.Now())
	if err != nil {
		return err
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	used, err := d.read(ctx, agent, asked)
	if err != nil {
		return err
	}
	return respond(c, fiber.StatusOK, d.requestID(c), encodeUsage(agent.ID, asked, used))
}

func (d *api) caller(c *fiber.Ctx) (access.Caller, error) {
	token, ok := dialect.Bearer(c)
	if !ok {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, "", "no bearer token")
	}
	caller, err := d.door.Access.Bearer(token, dialect.OrganizationAsked(c))
	tellRate(c, caller.Allowance)
	return caller, err
}

// tellRate sets the headers that clients keep their pace by, whatever the answer will be. Without a
// limit there are none.
func tellRate(c *fiber.Ctx, a access.Allowance) {
	if a.Limit == 0 {
		return
	}
	c.Set("ratelimit-limit", strconv.FormatInt(a.Limit, 10))
	c.Set("ratelimit-remaining", strconv.FormatInt(a.Remaining, 10))
	c.Set("ratelimit-reset", strconv.FormatInt(a.Reset.Unix(), 10))
}

// agentOf returns the agent of the path. An id that is malformed, unknown or another
// organization's is told apart by nobody.
func agentOf(c *fiber.Ctx, s *access.Snapshot, caller access.Caller) (schema.Agent, error) {
	if id, ok := decodeAgent(c.Params("uuid")); ok {
		agent, ok := s.Agent(id)
		if ok && agent.Organization == caller.Organization {
			return agent, nil
		}
	}
	return schema.Agent{}, schema.Errorf(schema.NotFound, "uuid", "no such agent")
}

func (d *api) read(
	ctx context.Context, agent schema.Agent, asked interval,
) (dialect.AgentUsage, error) {
	from, to := asked.bounds()
	if !from.IsZero() && !from.Before(to) {
		return dialect.AgentUsage{From: from}, nil // no microsecond lies in it
	}
	if asked.Open {
		to = time.Time{} // dashboards that ask until now share a question
	}
	return d.door.Reader.AgentUsage(ctx, dialect.AgentUsageParams{
		Organization: agent.Organization,
		Agent:        agent.ID,
		From:         from,
		To:           to,
	})
}

func (d *api) writeError(c *fiber.Ctx, err error) error {
	status, retryAfter, answer := encodeError(err)
	answer.RequestID = d.requestID(c)
	if status == fiber.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	if retryAfter > 0 {
		seconds := (retryAfter + time.Second - 1) / time.Second
		c.Set(fiber.HeaderRetryAfter, strconv.FormatInt(int64(seconds), 10))
	}
	return respond(c, status, answer.RequestID, answer)
}

// requestID returns the id the server gave the request, or makes one.
func (d *api) requestID(c *fiber.Ctx) string {
	if id := c.GetRespHeader(fiber.HeaderXRequestID); id != "" {
		return strings.Clone(id)
	}
	return d.door.NewID().String()
}

func respond(c *fiber.Ctx, status int, requestID string, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderXRequestID, requestID)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(body)
}
