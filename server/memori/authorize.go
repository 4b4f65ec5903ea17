package memori

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// authorize turns a question into what the caller may read: always of its own organization. Where
// the answer to a member is no anyway, it comes before any look-up, so that a member cannot probe
// which tenants and users exist.
func authorize(
	s *access.Snapshot, caller access.Caller, q question,
) (dialect.ConsumptionLogsParams, error) {
	params := dialect.ConsumptionLogsParams{
		Period:       q.period,
		Organization: caller.Organization,
		From:         q.from,
		To:           q.to,
	}
	var err error
	switch q.subject {
	case userLogs:
		params.User, err = q.id, mayReadUser(s, caller, q.id)
	case memoriLogs:
		params.Agent, err = q.id, mayReadAgent(s, caller, q.id)
	default:
		err = mayReadTenant(s, caller, q.tenant)
	}
	if err != nil {
		return dialect.ConsumptionLogsParams{}, err
	}
	return params, nil
}

func mayReadTenant(s *access.Snapshot, caller access.Caller, tenant string) error {
	if caller.Role < schema.Admin {
		return notAdministrative()
	}
	organization, ok := s.Tenant(tenant)
	if !ok {
		return notFound(tenantLogs)
	}
	if organization.ID != caller.Organization {
		return notAdministrative()
	}
	return nil
}

func mayReadUser(s *access.Snapshot, caller access.Caller, user uuid.UUID) error {
	if user == uuid.Nil { // to the reader, every user
		return notFound(userLogs)
	}
	if user == caller.User {
		return nil
	}
	if caller.Role < schema.Admin {
		return notAdministrative()
	}
	if _, ok := s.User(user); !ok {
		return notFound(userLogs)
	}
	if s.Role(caller.Organization, user) == 0 {
		return notAdministrative()
	}
	return nil
}

func mayReadAgent(s *access.Snapshot, caller access.Caller, id uuid.UUID) error {
	agent, ok := s.Agent(id)
	if !ok || id == uuid.Nil { // the zero id is every agent to the reader
		return notFound(memoriLogs)
	}
	if agent.Organization != caller.Organization {
		return schema.Errorf(schema.Forbidden, fieldOf(memoriLogs), "another organization's")
	}
	if agent.Owner == caller.User || caller.Role >= schema.Admin {
		return nil
	}
	return notAdministrative()
}

func notFound(s subject) error {
	return schema.Errorf(schema.NotFound, fieldOf(s), "not found")
}

// notAdministrative is about the token, whoever was asked for: an administrator's would do.
func notAdministrative() error {
	return schema.Errorf(schema.Forbidden, "strToken", "must be an administrator's")
}
