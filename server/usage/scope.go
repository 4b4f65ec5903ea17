package usage

import (
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// caller returns who asks: a user, or an agent by its secret.
func (d *api) caller(c *fiber.Ctx) (access.Caller, error) {
	return dialect.Authenticate(c, d.door.Access)
}

// organizationOf returns the organization that is asked for; zero means the caller's own. One that
// the catalog no longer has may still have usage, so that a superadmin may ask for any.
func organizationOf(who access.Caller, asked uuid.UUID) (uuid.UUID, error) {
	switch {
	case asked == uuid.Nil:
		return who.Organization, nil
	case asked != who.Organization && (who.Agent != uuid.Nil || who.Role < schema.Superadmin):
		return asked, schema.Errorf(schema.NotFound, "organization_id", "is unknown")
	}
	return asked, nil
}

// scope makes a question one of what the caller may see, and checks that it is valid: an agent sees
// its own usage, a member the member's own, an admin the organization's.
func scope(who access.Caller, q *schema.UsageQuery) error {
	var err error
	if q.Organization, err = organizationOf(who, q.Organization); err != nil {
		return err
	}
	switch {
	case who.Agent != uuid.Nil:
		err = narrow(q, schema.DimensionAgent, who.Agent)
	case who.Role < schema.Admin && who.User == uuid.Nil:
		err = schema.Errorf(schema.Forbidden, "", "only a user may see that")
	case who.Role < schema.Admin:
		err = narrow(q, schema.DimensionUser, who.User)
	}
	if err != nil {
		return err
	}
	if wrong := q.Validate(); wrong != nil {
		return wrong
	}
	return nil
}

// narrow makes a question one of the caller's own usage, which is all it may ask for.
func narrow(q *schema.UsageQuery, d schema.Dimension, own uuid.UUID) error {
	asked, given := q.Filters[d]
	if given && !slices.Equal(asked, []string{own.String()}) {
		return schema.Errorf(schema.Forbidden, schema.FilterName(d),
			"is not the caller: only an admin may see what others used")
	}
	if q.Filters == nil {
		q.Filters = make(map[schema.Dimension][]string)
	}
	q.Filters[d] = []string{own.String()}
	return nil
}
