package tracker

import (
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// update changes a record and answers with all of it.
func (d *api) update(c *fiber.Ctx) error {
	caller, err := d.admin(c)
	if err != nil {
		return err
	}
	body, err := dialect.ReadBody(c, caller.Organization)
	if err != nil {
		return err
	}
	var p params
	id := p.uuid("usage_id", pathParam(c, "usage_id"))
	made, err := decodeChange(c.Get(fiber.HeaderContentType), body)
	if err := p.and(err); err != nil {
		return err
	}
	revision, err := d.correct(c, caller, id, "changed through the usage tracker",
		func(e *schema.Event, at int) *schema.Event {
			made.apply(&e.Measurements[at])
			return e
		})
	if err != nil {
		return err
	}
	record, err := usageOf(revision.Event)
	if err != nil {
		return err
	}
	return send(c, fiber.StatusOK, recordOf(record))
}

// remove takes a record back. What an event of another API's used beside its units stays.
func (d *api) remove(c *fiber.Ctx) error {
	caller, err := d.admin(c)
	if err != nil {
		return err
	}
	var p params
	id := p.uuid("usage_id", pathParam(c, "usage_id"))
	if err := p.err(); err != nil {
		return err
	}
	if _, err := d.correct(c, caller, id, "deleted through the usage tracker",
		func(e *schema.Event, at int) *schema.Event {
			if len(e.Measurements) == 1 {
				return nil
			}
			e.Measurements = append(e.Measurements[:at], e.Measurements[at+1:]...)
			return e
		}); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// admin returns the caller, who has to be an admin.
func (d *api) admin(c *fiber.Ctx) (access.Caller, error) {
	caller, err := d.caller(c)
	if err == nil && caller.Role < schema.Admin {
		err = schema.Errorf(schema.Forbidden, "", "is for admins")
	}
	return caller, err
}

// correct hands edit the event of a record and the position of its units.
func (d *api) correct(
	c *fiber.Ctx, caller access.Caller, id uuid.UUID, reason string,
	edit func(e *schema.Event, at int) *schema.Event,
) (dialect.Revision, error) {
	revision, err := d.door.Corrector.Correct(c.UserContext(), dialect.CorrectParams{
		Organization: caller.Organization,
		Event:        id,
		Actor:        dialect.ActorOf(caller),
		Reason:       reason,
		Change: func(e schema.Event) (*schema.Event, error) {
			at, err := unitsOf(&e)
			if err != nil {
				return nil, err
			}
			return edit(&e, at), nil
		},
	})
	var e *schema.Error
	if errors.As(err, &e) && e.Kind == schema.Invalid {
		err = rejected(e)
	}
	return revision, err
}

// unitsOf returns the position of an event's units. An event without any is no record.
func unitsOf(e *schema.Event) (int, error) {
	for i := range e.Measurements {
		if e.Measurements[i].UsageType == schema.Units {
			return i, nil
		}
	}
	return 0, schema.Errorf(schema.NotFound, "usage_id", "no such record")
}

// apply changes a record's units and cost. A cost that was given stays when only the units change;
// one by a rate is made anew.
func (made change) apply(m *schema.Measurement) {
	if made.units != nil && m.Quantity != schema.WholeQuantity(*made.units) {
		m.Quantity = schema.WholeQuantity(*made.units)
		if m.Pricing != schema.Given {
			*m = schema.Measurement{UsageType: m.UsageType, Quantity: m.Quantity}
		}
	}
	if made.cost != nil {
		*m = schema.Measurement{
			UsageType: m.UsageType, Quantity: m.Quantity,
			ProviderCost: *made.cost, BilledCost: *made.cost, Pricing: schema.Given,
		}
	}
}

// and adds the problems of a body to those found so far; an error of another kind goes first.
func (p *params) and(err error) error {
	var problems invalid
	if errors.As(err, &problems) {
		p.problems = append(p.problems, problems...)
	} else if err != nil {
		return err
	}
	return p.err()
}
