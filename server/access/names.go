package access

import (
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

type agentName struct {
	organization uuid.UUID
	name         string
}

func (s *Snapshot) nameAgent(a schema.Agent) {
	key := agentName{a.Organization, a.Name}
	if _, taken := s.agentNames[key]; taken {
		s.agentNames[key] = uuid.Nil
		return
	}
	s.agentNames[key] = a.ID
}

// AgentNamed returns the one agent of an organization with a name; false when there is none, or
// more than one: whose usage it is would be a guess.
func (s *Snapshot) AgentNamed(organization uuid.UUID, name string) (schema.Agent, bool) {
	id := s.agentNames[agentName{organization, name}]
	if id == uuid.Nil {
		return schema.Agent{}, false
	}
	return s.Agent(id)
}
