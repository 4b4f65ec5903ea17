// Package admin serves /v1/admin: the catalog, changed by HTTP, the record of its changes, and what
// was used without a rate; and the erasure of people. docs/admin.md and docs/retention.md are the
// contract.
package admin

import (
	"encoding/json"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

const prefix = "/v1/admin/"

// New returns the dialect. It does nothing until its routes are mounted.
func New(door dialect.Door) dialect.Dialect {
	d := &api{door: door}
	return dialect.Dialect{
		Name:       "admin",
		Prefixes:   []string{prefix, personPrefix},
		Mount:      d.mount,
		WriteError: dialect.WriteProblem,
	}
}

type api struct{ door dialect.Door }

// mount registers the routes by method: fiber's Get would answer HEAD as well.
func (d *api) mount(r fiber.Router) {
	mount(d, r, organizations)
	mount(d, r, users)
	mount(d, r, memberships)
	mount(d, r, agents)
	mount(d, r, services)
	mount(d, r, meters)
	mount(d, r, credentials)
	mount(d, r, rates)
	mount(d, r, stripeMappings)
	r.Add(fiber.MethodGet, prefix+"audit", handler(d, (*api).audit))
	r.Add(fiber.MethodGet, prefix+"unpriced", handler(d, (*api).unpriced))
	r.Add(fiber.MethodDelete, personPrefix+":id/personal-data", handler(d, (*api).erase))
}

// view is the catalog as a caller may see it.
type view struct {
	*access.Snapshot
	caller access.Caller
	role   schema.Role // of the caller, in that catalog
	now    time.Time
	newID  func() uuid.UUID
}

// view returns what a request's caller sees, who must be a user of at least a role.
func (d *api) view(c *fiber.Ctx, least schema.Role) (view, error) {
	caller, err := dialect.Authenticate(c, d.door.Access)
	if err != nil {
		return view{}, err
	}
	if caller.Agent != uuid.Nil || caller.User == uuid.Nil {
		return view{}, schema.Errorf(schema.Forbidden, "",
			"an agent's secret opens nothing here: send a user's token")
	}
	v := view{caller: caller, now: d.door.Now(), newID: d.door.NewID}.on(d.door.Access.Snapshot())
	return v, v.atLeast(least)
}

// on returns the view of another snapshot.
func (v view) on(s *access.Snapshot) view {
	v.Snapshot = s
	v.role = s.Role(v.caller.Organization, v.caller.User)
	return v
}

// atLeast returns a Forbidden error for a caller below a role.
func (v view) atLeast(role schema.Role) error {
	switch {
	case v.role >= role:
		return nil
	case role == schema.Superadmin:
		return schema.Errorf(schema.Forbidden, "", "only a superadmin may do that")
	case role == schema.Admin:
		return schema.Errorf(schema.Forbidden, "", "only an admin may do that")
	}
	return schema.Errorf(schema.Forbidden, "", "is for active members of an organization")
}

func (v view) superadmin() bool { return v.role >= schema.Superadmin }

// administers reports whether an organization's things are the caller's to see.
func (v view) administers(organization uuid.UUID) bool {
	return v.superadmin() ||
		v.role >= schema.Admin && organization == v.caller.Organization
}

// organization returns a NotFound error unless an organization is there for the caller.
func (v view) organization(id uuid.UUID) error {
	if _, ok := v.Organization(id); !ok || !v.superadmin() && id != v.caller.Organization {
		return schema.Errorf(schema.NotFound, "organization_id", "is unknown")
	}
	return nil
}

// filter returns the organization that a list is asked for; zero when it is not.
func (v view) filter(q query) (uuid.UUID, error) {
	id, err := q.organization()
	if err != nil || id == uuid.Nil {
		return id, err
	}
	return id, v.organization(id)
}

// ofUser returns every membership of a user, active or not.
func (v view) ofUser(user uuid.UUID) []schema.Membership {
	var all []schema.Membership
	for m := range v.EachMembership() {
		if m.User == user {
			all = append(all, m)
		}
	}
	return all
}

// mayTouch returns a Forbidden error when a user is over an admin: a superadmin, wherever.
func (v view) mayTouch(user uuid.UUID) error {
	if v.superadmin() {
		return nil
	}
	for _, m := range v.ofUser(user) {
		if m.Role >= schema.Superadmin {
			return schema.Errorf(schema.Forbidden, "", "only a superadmin may do that to a superadmin")
		}
	}
	return nil
}

// mayOwn returns a Forbidden error when a user is not only an admin's own: what is done to them, or
// in their name, would reach into another organization.
func (v view) mayOwn(user uuid.UUID) error {
	if v.superadmin() {
		return nil
	}
	for _, m := range v.ofUser(user) {
		if m.Organization != v.caller.Organization {
			return schema.Errorf(schema.Forbidden, "",
				"the user belongs to another organization too: only a superadmin may do that")
		}
	}
	return v.mayTouch(user)
}

// send answers with JSON that nobody but the caller may keep.
func send(c *fiber.Ctx, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Status(status).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}
