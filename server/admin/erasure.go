package admin

import (
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// personPrefix is where people are, as they are to the ledger: the catalog's are admin's.
const personPrefix = "/v1/users/"

// erased is what came of an erasure.
type erased struct {
	Organization uuid.UUID  `json:"organization_id"`
	Replacement  uuid.UUID  `json:"replacement_id"`
	RequestedAt  time.Time  `json:"requested_at"`
	DoneAt       *time.Time `json:"done_at"` // null: it goes on
}

// erase replaces what identifies a user of an organization, and answers once nothing that is stored
// does; or that it goes on, when that takes long.
func (d *api) erase(c *fiber.Ctx) error {
	v, err := d.view(c, schema.Admin)
	if err != nil {
		return err
	}
	q, err := readQuery(c, "organization_id")
	if err != nil {
		return err
	}
	organization, err := q.organization()
	if err != nil {
		return err
	}
	if organization == uuid.Nil {
		organization = v.caller.Organization
	}
	if err := v.organization(organization); err != nil {
		return err
	}
	user, ok := parseID(c.Params("id"))
	if !ok {
		return schema.Errorf(schema.NotFound, "id", "is unknown")
	}
	if err := v.notSelf(user); err != nil {
		return err
	}
	if _, member := v.Membership(organization, user); member {
		if err := v.mayTouch(user); err != nil {
			return err
		}
	}
	if d.door.Erasures == nil {
		return &schema.Error{
			Kind: schema.Unavailable, Message: "nobody is erased by this node",
			RetryAfter: time.Minute,
		}
	}
	done, err := d.door.Erasures.Erase(c.UserContext(), organization, user,
		dialect.ActorOf(v.caller))
	if err != nil {
		return err
	}
	answer := erased{
		Organization: done.Organization, Replacement: done.Replacement,
		RequestedAt: done.RequestedAt.UTC(),
	}
	if done.DoneAt.IsZero() {
		return send(c, fiber.StatusAccepted, answer)
	}
	at := done.DoneAt.UTC()
	answer.DoneAt = &at
	return send(c, fiber.StatusOK, answer)
}
