package native

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// listEvents answers with a page of the events that the caller may see, the newest first.
func (a *api) listEvents(c *fiber.Ctx) error {
	caller, err := dialect.Authenticate(c, a.door.Access)
	if err != nil {
		return err
	}
	q, err := readList(c)
	if err != nil {
		return err
	}
	p, err := q.params(a.door.Now())
	if err != nil {
		return err
	}
	if err := scope(caller, &p); err != nil {
		return err
	}
	ctx, cancel := dialect.Reading(c)
	defer cancel()
	page, err := a.door.Reader.Events(ctx, p)
	if err != nil {
		return err
	}
	answer := listing{Items: make([]revision, len(page.Events))}
	for i := range page.Events {
		answer.Items[i] = revisionOf(page.Events[i])
	}
	if page.Next != nil {
		next := cursor{page.From, *page.Next}.String()
		answer.NextCursor = &next
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return writeJSON(c, http.StatusOK, answer)
}

// scope makes a question one of what the caller may see, as maySee is asked of each event: an agent
// sees its own, a member the member's own, an admin the organization's, a superadmin any one's.
func scope(caller access.Caller, p *dialect.EventsParams) error {
	switch {
	case p.Organization == uuid.Nil:
		p.Organization = caller.Organization
	case p.Organization != caller.Organization &&
		(caller.Agent != uuid.Nil || caller.Role < schema.Superadmin):
		return schema.Errorf(schema.NotFound, paramOrganization, "is unknown")
	}
	own := func(field string, to *uuid.UUID, id uuid.UUID) error {
		if *to != uuid.Nil && *to != id {
			return schema.Errorf(schema.Forbidden, field,
				"is not the caller: only an admin may see what others used")
		}
		*to = id
		return nil
	}
	switch {
	case caller.Agent != uuid.Nil:
		return own(paramAgent, &p.Agent, caller.Agent)
	case caller.Role >= schema.Admin:
		return nil
	case caller.User == uuid.Nil:
		return schema.Errorf(schema.Forbidden, "", "only a user may see that")
	}
	return own(paramUser, &p.User, caller.User)
}
