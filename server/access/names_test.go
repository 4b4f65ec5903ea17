package access

import (
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

func TestAgentNamed(t *testing.T) {
	acme, globex := uuid.New(), uuid.New()
	helper, one, two, three := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	s := NewSnapshot(schema.Catalog{Agents: []schema.Agent{
		{ID: helper, Organization: acme, Name: "Helper"},
		{ID: uuid.New(), Organization: globex, Name: "Foreign"},
		{ID: one, Organization: acme, Name: "Twin"}, {ID: two, Organization: acme, Name: "Twin"},
		{ID: three, Organization: globex, Name: "Triplet"},
		{ID: uuid.New(), Organization: globex, Name: "Triplet"},
		{ID: uuid.New(), Organization: globex, Name: "Triplet"},
	}})
	f := func(organization uuid.UUID, name string, want uuid.UUID) {
		t.Helper()
		if a, ok := s.AgentNamed(organization, name); a.ID != want || ok != (want != uuid.Nil) {
			t.Errorf("%q: %v, %v", name, a, ok)
		}
	}
	f(acme, "Foreign", uuid.Nil)
	f(acme, "Twin", uuid.Nil)
	f(globex, "Triplet", uuid.Nil)
	f(acme, "helper", uuid.Nil)
	f(acme, "", uuid.Nil)
	f(acme, "Helper", helper)
}
