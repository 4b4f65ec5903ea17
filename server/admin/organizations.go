package admin

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var organizations = resource[schema.Organization]{
	path: "organizations", key: []string{"id"},
	each:  (*access.Snapshot).EachOrganization,
	find:  findOrganization,
	thing: access.OrganizationThing,
	id:    func(o schema.Organization) string { return o.ID.String() },
	of:    func(o schema.Organization) uuid.UUID { return o.ID },
	see:   schema.Admin, edit: schema.Superadmin,
	visible: func(v view, o schema.Organization) bool { return v.administers(o.ID) },
	create:  createOrganization,
	change:  changeOrganization,
	retire:  retireOrganization,
}

func findOrganization(s *access.Snapshot, key []string) (schema.Organization, bool) {
	id, _ := parseID(key[0])
	return s.Organization(id)
}

func createOrganization(v view, o *object) (outcome, error) {
	made := schema.Organization{ID: v.newID()}
	o.id("id", &made.ID)
	o.text("name", &made.Name)
	o.optional("tenant", &made.Tenant)
	o.count("events_per_minute", &made.EventsPerMinute)
	takeRetention(o, &made.RetentionDays)
	o.require("name")
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if _, ok := v.Organization(made.ID); ok {
		return outcome{}, exists("id")
	}
	return writeOrganization(made)
}

func takeRetention(o *object, into *uint32) {
	o.count("retention_days", into)
	if fault := schema.RetentionFault(*into); fault != "" {
		o.fail("retention_days", fault)
	}
}

func changeOrganization(v view, made schema.Organization, o *object) (outcome, error) {
	o.fixed("id")
	o.text("name", &made.Name)
	o.optional("tenant", &made.Tenant)
	o.count("events_per_minute", &made.EventsPerMinute)
	takeRetention(o, &made.RetentionDays)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	return writeOrganization(made)
}

func writeOrganization(o schema.Organization) (outcome, error) {
	return outcome{
		thing: access.OrganizationThing(o),
		change: access.Change{
			Upsert: schema.Catalog{Organizations: []schema.Organization{o}},
		},
	}, nil
}

// retireOrganization takes what belongs to the organization with it: were it made again under its
// id, old secrets would open it.
func retireOrganization(v view, o schema.Organization) (access.Change, error) {
	if o.ID == v.caller.Organization {
		return access.Change{}, schema.Errorf(schema.Forbidden, "",
			"is your own organization: another superadmin has to do that")
	}
	gone := schema.Catalog{Organizations: []schema.Organization{o}}
	for m := range v.EachMembership() {
		if m.Organization == o.ID {
			gone.Memberships = append(gone.Memberships, m)
		}
	}
	for a := range v.EachAgent() {
		if a.Organization == o.ID {
			gone.Agents = append(gone.Agents, a)
		}
	}
	for k := range v.EachCredential() {
		if k.Organization == o.ID {
			gone.Credentials = append(gone.Credentials, k)
		}
	}
	return access.Change{Retire: gone}, nil
}

// exists is the error of what cannot be made because it is there.
func exists(field string) error {
	return schema.Errorf(schema.Conflict, field, "exists already")
}
