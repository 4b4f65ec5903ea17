// Package raia serves raia's resource usage log: an agent reports, with its secret, how many
// tokens or voice seconds it used. docs/raia.md is the contract.
package raia

import (
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// New returns the dialect that serves raia's usage log through door.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:     "raia",
		Prefixes: []string{"/external/"},
		Mount: func(r fiber.Router) {
			r.Post("/external/resource-usage", d.create)
		},
		WriteError: writeError,
	}
}

type api struct {
	door dialect.Door
}

// create takes one usage report. Authentication comes first, so that a stranger learns nothing
// about what a body must look like.
func (d *api) create(c *fiber.Ctx) error {
	caller, err := d.caller(c)
	if err != nil {
		return err
	}
	if !isJSON(c.Get(fiber.HeaderContentType)) {
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
			"must be application/json")
	}
	body, err := dialect.ReadBody(c, caller.Organization)
	if err != nil {
		return err
	}
	u, err := decode(body)
	if err != nil {
		return err
	}
	key, err := dialect.IdempotencyKey(c)
	if err != nil {
		return err
	}
	if err := d.record(c, caller, u, key); err != nil {
		return err
	}
	c.Status(fiber.StatusCreated)
	return nil
}

// caller returns the agent whose secret the request carries. fiber's string is good enough here:
// it is hashed at once and not kept.
func (d *api) caller(c *fiber.Ctx) (access.Caller, error) {
	secret := c.Get(headerSecret)
	if secret == "" {
		return access.Caller{}, schema.Errorf(schema.Unauthenticated, headerSecret, "is missing")
	}
	return d.door.Access.Secret(secret, schema.AgentSecret)
}

// slot is the memory of one event on its way to the ledger. The recorder is done with events when
// it returns, so a slot serves one request after another: this is the hottest path.
type slot struct {
	events       [1]schema.Event
	measurements [1]schema.Measurement
}

var slots = sync.Pool{New: func() any { return new(slot) }}

func (d *api) record(c *fiber.Ctx, caller access.Caller, u usage, key string) error {
	s := slots.Get().(*slot)
	defer slots.Put(s)
	s.measurements[0] = schema.Measurement{UsageType: u.usageType, Quantity: u.quantity}
	s.events[0] = schema.Event{
		Organization: caller.Organization,
		Entry:        schema.Record,
		Time:         d.door.Now().UTC().Truncate(time.Microsecond),
		User:         caller.User,
		Agent:        caller.Agent,
		Chargeable:   true,
		Measurements: s.measurements[:],
		Key:          key,
	}
	if key == "" {
		s.events[0].ID = d.door.NewID()
	} else {
		s.events[0].ID = schema.EventID(caller.Organization, key)
	}
	receipt, err := d.door.Recorder.Record(c.UserContext(), s.events[:], true)
	if err != nil {
		return err
	}
	if len(receipt.Rejected) > 0 {
		return rejected(receipt.Rejected[0].Err)
	}
	return nil
}
