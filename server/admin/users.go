package admin

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var users = resource[schema.User]{
	path: "users", key: []string{"id"},
	each: (*access.Snapshot).EachUser,
	find: func(s *access.Snapshot, key []string) (schema.User, bool) {
		id, _ := parseID(key[0])
		return s.User(id)
	},
	thing: access.UserThing,
	id:    func(u schema.User) string { return u.ID.String() },
	see:   schema.Member, edit: schema.Admin,
	visible: seesUser,
	create:  createUser,
	change:  changeUser,
	retire:  retireUser,
}

// seesUser reports whether a user is the caller, or of the organization the caller administers.
func seesUser(v view, u schema.User) bool {
	if v.superadmin() || u.ID == v.caller.User {
		return true
	}
	_, member := v.Membership(v.caller.Organization, u.ID)
	return member && v.administers(v.caller.Organization)
}

// createUser makes a user, and a member of an organization of them: an admin's own always.
func createUser(v view, o *object) (outcome, error) {
	made := schema.User{ID: v.newID()}
	m := schema.Membership{Role: schema.Member, Active: true}
	if !v.superadmin() {
		m.Organization = v.caller.Organization
	}
	o.id("id", &made.ID)
	o.text("name", &made.Name)
	o.optional("email", &made.Email)
	o.id("organization_id", &m.Organization)
	takeRole(o, &m.Role)
	o.require("name")
	if o.has("role") && m.Organization == uuid.Nil {
		o.fail("role", "needs an organization_id")
	}
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	change := access.Change{Upsert: schema.Catalog{Users: []schema.User{made}}}
	if m.Organization != uuid.Nil {
		m.User = made.ID
		if err := v.organization(m.Organization); err != nil {
			return outcome{}, err
		}
		if err := v.mayGrant(m.Role); err != nil {
			return outcome{}, err
		}
		change.Upsert.Memberships = []schema.Membership{m}
	}
	if _, ok := v.User(made.ID); ok {
		return outcome{}, exists("id")
	}
	return outcome{change: change, thing: access.UserThing(made)}, nil
}

func changeUser(v view, made schema.User, o *object) (outcome, error) {
	o.fixed("id")
	o.text("name", &made.Name)
	o.optional("email", &made.Email)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.mayOwn(made.ID); err != nil {
		return outcome{}, err
	}
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Users: []schema.User{made}}},
		thing:  access.UserThing(made),
	}, nil
}

// retireUser takes the user's memberships and credentials with it. Their agents go on, without an
// owner.
func retireUser(v view, u schema.User) (access.Change, error) {
	if err := v.notSelf(u.ID); err != nil {
		return access.Change{}, err
	}
	if err := v.mayOwn(u.ID); err != nil {
		return access.Change{}, err
	}
	change := v.leave(u.ID, func(uuid.UUID) bool { return true })
	change.Retire.Users = []schema.User{u}
	change.Retire.Memberships = v.ofUser(u.ID)
	return change, nil
}

// notSelf keeps callers from locking themselves out.
func (v view) notSelf(user uuid.UUID) error {
	if user == v.caller.User {
		return schema.Errorf(schema.Forbidden, "", "is yourself: another admin has to do that")
	}
	return nil
}

// leave returns what goes when a user leaves organizations: the credentials there, and the name as
// an agent's owner.
func (v view) leave(user uuid.UUID, from func(organization uuid.UUID) bool) access.Change {
	var change access.Change
	for k := range v.EachCredential() {
		if k.User == user && from(k.Organization) {
			change.Retire.Credentials = append(change.Retire.Credentials, k)
		}
	}
	for a := range v.EachAgent() {
		if a.Owner == user && from(a.Organization) {
			a.Owner = uuid.Nil
			change.Upsert.Agents = append(change.Upsert.Agents, a)
		}
	}
	return change
}

func takeRole(o *object, into *schema.Role) {
	oneOf(o, "role", access.RoleNamed, "superadmin, admin or member", into)
}

// mayGrant returns a Forbidden error for a role over the caller's own.
func (v view) mayGrant(role schema.Role) error {
	if role > v.role {
		return schema.Errorf(schema.Forbidden, "role", "must not be over your own")
	}
	return nil
}

var memberships = resource[schema.Membership]{
	path: "memberships", key: []string{"organization_id", "user_id"},
	each: (*access.Snapshot).EachMembership,
	find: func(s *access.Snapshot, key []string) (schema.Membership, bool) {
		organization, _ := parseID(key[0])
		user, _ := parseID(key[1])
		return s.Membership(organization, user)
	},
	thing: access.MembershipThing,
	id:    func(m schema.Membership) string { return access.MembershipThing(m).ID },
	of:    func(m schema.Membership) uuid.UUID { return m.Organization },
	see:   schema.Admin, edit: schema.Admin,
	visible: func(v view, m schema.Membership) bool { return v.administers(m.Organization) },
	create:  createMembership,
	change:  changeMembership,
	retire:  retireMembership,
}

func createMembership(v view, o *object) (outcome, error) {
	made := schema.Membership{Organization: v.caller.Organization, Active: true}
	o.id("organization_id", &made.Organization)
	o.id("user_id", &made.User)
	takeRole(o, &made.Role)
	o.boolean("active", &made.Active)
	o.require("user_id", "role")
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.organization(made.Organization); err != nil {
		return outcome{}, err
	}
	if _, ok := v.Membership(made.Organization, made.User); ok {
		return outcome{}, exists("user_id")
	}
	// To an admin, a user of other organizations only is not there.
	_, ok := v.User(made.User)
	if !ok || !v.superadmin() && len(v.ofUser(made.User)) > 0 {
		return outcome{}, schema.Errorf(schema.Invalid, "user_id", "is no user you know")
	}
	if err := v.mayGrant(made.Role); err != nil {
		return outcome{}, err
	}
	return writeMembership(made)
}

func changeMembership(v view, made schema.Membership, o *object) (outcome, error) {
	o.fixed("organization_id", "user_id")
	takeRole(o, &made.Role)
	o.boolean("active", &made.Active)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.notSelf(made.User); err != nil {
		return outcome{}, err
	}
	if err := v.mayTouch(made.User); err != nil {
		return outcome{}, err
	}
	if err := v.mayGrant(made.Role); err != nil {
		return outcome{}, err
	}
	return writeMembership(made)
}

func writeMembership(m schema.Membership) (outcome, error) {
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Memberships: []schema.Membership{m}}},
		thing:  access.MembershipThing(m),
	}, nil
}

// retireMembership takes the user's credentials in the organization with it. Their agents there go
// on, without an owner.
func retireMembership(v view, m schema.Membership) (access.Change, error) {
	if err := v.notSelf(m.User); err != nil {
		return access.Change{}, err
	}
	if err := v.mayTouch(m.User); err != nil {
		return access.Change{}, err
	}
	change := v.leave(m.User, func(id uuid.UUID) bool { return id == m.Organization })
	change.Retire.Memberships = []schema.Membership{m}
	return change, nil
}
