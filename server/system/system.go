// Package system serves GET /v1/system: how a node is, and the installation as far as it sees it.
// docs/operations.md is the contract.
package system

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

const path = "/v1/system"

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "system",
		Prefixes:   []string{path},
		Mount:      d.mount,
		WriteError: dialect.WriteProblem,
	}
}

type api struct{ door dialect.Door }

// mount registers the route by its method: fiber's Get would answer HEAD as well.
func (d *api) mount(r fiber.Router) { r.Add(fiber.MethodGet, path, d.status) }

// status answers a superadmin: what it says is of the installation, and of no organization.
func (d *api) status(c *fiber.Ctx) error {
	who, err := dialect.Authenticate(c, d.door.Access)
	if err != nil {
		return err
	}
	if who.Agent != uuid.Nil || who.Role < schema.Superadmin {
		return schema.Errorf(schema.Forbidden, "", "only a superadmin may see that")
	}
	if c.Context().QueryArgs().Len() > 0 {
		return schema.Errorf(schema.Unreadable, "", "there are no parameters")
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	s, err := d.door.System.Status(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(answerOf(s))
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}
