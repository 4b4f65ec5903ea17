// Package memori serves Memori's consumption logs: what a tenant, a user or a memori (our
// organization, user and agent) consumed by day or month.
package memori

import (
	"context"
	"encoding/json"
	"io"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

type api struct {
	door     dialect.Door
	requests atomic.Int64 // answers since start: the last requestID
}

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "memori",
		Prefixes:   []string{"/api/v2/"},
		Mount:      d.mount,
		WriteError: d.writeError,
	}
}

// mount leaves everything after the literal to decodePath: the token, dots and percent escapes in
// it, and how many segments follow. The router matches literals in any case.
func (d *api) mount(r fiber.Router) {
	for path, s := range map[string]subject{
		"/api/v2/TenantConsumptionLogs/*": tenantLogs,
		"/api/v2/UserConsumptionLogs/*":   userLogs,
		"/api/v2/MemoriConsumptionLogs/*": memoriLogs,
	} {
		r.Get(path, func(c *fiber.Ctx) error { return d.logs(c, s) })
		r.Options(path, preflight)
	}
}

func (d *api) logs(c *fiber.Ctx, s subject) error {
	path, err := decodePath(c.Params("*"))
	if err != nil {
		return err
	}
	caller, err := d.door.Access.Secret(path.token, schema.LoginToken)
	if schema.KindOf(err) == schema.Unauthenticated {
		return tokenError(err)
	}
	if err != nil {
		return err
	}
	dialect.SetCaller(c, caller) // no header says who it is
	snapshot := d.door.Access.Snapshot()
	q, err := decodeQuestion(s, path)
	if err != nil {
		return err
	}
	params, err := authorize(snapshot, caller, q)
	if err != nil {
		return err
	}
	return d.door.Respond(c, dialect.Identity, func() { begin(c) },
		func(ctx context.Context, w io.Writer) error {
			logs := newLogWriter(w, snapshot, params)
			if !q.empty {
				if err := d.door.Reader.ConsumptionLogs(ctx, params, logs.row); err != nil {
					return err
				}
			}
			rest, err := d.envelope(listResponse{ResultMessage: messageOK})
			if err != nil {
				return err
			}
			return logs.close(rest)
		})
}

func (d *api) writeError(c *fiber.Ctx, err error) error {
	code, message := encodeError(err)
	return d.respond(c, listResponse{ResultCode: code, ResultMessage: message})
}

// respond writes any answer with HTTP 200: clients parse the body of every status and look at its
// resultCode only.
func (d *api) respond(c *fiber.Ctx, answer listResponse) error {
	body, err := d.envelope(answer)
	if err != nil {
		return err
	}
	begin(c)
	return c.Status(fiber.StatusOK).Send(body)
}

func (d *api) envelope(answer listResponse) ([]byte, error) {
	answer.RequestID = d.requests.Add(1)
	answer.RequestDateTime = d.door.Now().UTC().Format(millisecondsUTC)
	return json.Marshal(answer)
}

func begin(c *fiber.Ctx) {
	allowOrigin(c)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSONCharsetUTF8)
}

// preflight lets a browser send the request: the client asks for credentials and sets a
// Content-Type on its GET.
func preflight(c *fiber.Ctx) error {
	allowOrigin(c)
	c.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodGet)
	c.Set(fiber.HeaderAccessControlAllowHeaders, "content-type")
	return c.SendStatus(fiber.StatusNoContent)
}

// allowOrigin lets any page read the answer. Nothing a browser adds by itself (a cookie) counts as
// a credential here: the token is in the path, so a page that can ask holds it.
func allowOrigin(c *fiber.Ctx) {
	c.Vary(fiber.HeaderOrigin)
	if origin := c.Get(fiber.HeaderOrigin); origin != "" {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
	}
}
