package admin

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

var agents = resource[schema.Agent]{
	path: "agents", key: []string{"id"},
	each: (*access.Snapshot).EachAgent,
	find: func(s *access.Snapshot, key []string) (schema.Agent, bool) {
		id, _ := parseID(key[0])
		return s.Agent(id)
	},
	thing: access.AgentThing,
	id:    func(a schema.Agent) string { return a.ID.String() },
	of:    func(a schema.Agent) uuid.UUID { return a.Organization },
	see:   schema.Admin, edit: schema.Admin,
	visible: func(v view, a schema.Agent) bool { return v.administers(a.Organization) },
	create:  createAgent,
	change:  changeAgent,
	retire:  retireAgent,
}

func createAgent(v view, o *object) (outcome, error) {
	made := schema.Agent{ID: v.newID(), Organization: v.caller.Organization}
	o.id("id", &made.ID)
	o.id("organization_id", &made.Organization)
	o.text("name", &made.Name)
	o.optionalID("owner_id", &made.Owner)
	o.require("name")
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if err := v.organization(made.Organization); err != nil {
		return outcome{}, err
	}
	if _, ok := v.Agent(made.ID); ok {
		return outcome{}, exists("id")
	}
	return writeAgent(v, made)
}

func changeAgent(v view, made schema.Agent, o *object) (outcome, error) {
	o.fixed("id", "organization_id")
	o.text("name", &made.Name)
	o.optionalID("owner_id", &made.Owner)
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if !o.has("owner_id") { // whose membership may have ended since
		return writtenAgent(made), nil
	}
	return writeAgent(v, made)
}

func writeAgent(v view, a schema.Agent) (outcome, error) {
	if a.Owner != uuid.Nil && v.Role(a.Organization, a.Owner) == 0 {
		return outcome{}, schema.Errorf(schema.Invalid, "owner_id",
			"must be an active member of the organization")
	}
	return writtenAgent(a), nil
}

func writtenAgent(a schema.Agent) outcome {
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Agents: []schema.Agent{a}}},
		thing:  access.AgentThing(a),
	}
}

// retireAgent takes the agent's secrets with it.
func retireAgent(v view, a schema.Agent) (access.Change, error) {
	gone := schema.Catalog{Agents: []schema.Agent{a}}
	for k := range v.EachCredential() {
		if k.Agent == a.ID {
			gone.Credentials = append(gone.Credentials, k)
		}
	}
	return access.Change{Retire: gone}, nil
}

// services are known to everybody, by their names.
var services = resource[schema.Service]{
	path: "services", key: []string{"name"},
	each: (*access.Snapshot).EachService,
	find: func(s *access.Snapshot, key []string) (schema.Service, bool) {
		return s.Service(key[0])
	},
	thing: access.ServiceThing,
	id:    func(s schema.Service) string { return s.Name },
	see:   schema.Admin, edit: schema.Superadmin,
	visible: func(view, schema.Service) bool { return true },
	create:  createService,
	change: func(_ view, s schema.Service, o *object) (outcome, error) {
		o.fixed("name")
		return outcome{thing: access.ServiceThing(s)}, o.done()
	},
	retire: func(_ view, s schema.Service) (access.Change, error) {
		return access.Change{Retire: schema.Catalog{Services: []schema.Service{s}}}, nil
	},
}

func createService(v view, o *object) (outcome, error) {
	var made schema.Service
	o.text("name", &made.Name)
	o.require("name")
	if err := o.done(); err != nil {
		return outcome{}, err
	}
	if _, ok := v.Service(made.Name); ok {
		return outcome{}, exists("name")
	}
	return outcome{
		change: access.Change{Upsert: schema.Catalog{Services: []schema.Service{made}}},
		thing:  access.ServiceThing(made),
	}, nil
}
