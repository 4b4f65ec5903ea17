package access

import (
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// HighestRole returns the highest of a user's roles in any organization; 0 when the user is no
// active member of one.
func (s *Snapshot) HighestRole(user uuid.UUID) schema.Role {
	var highest schema.Role
	for _, m := range s.Memberships(user) {
		highest = max(highest, m.Role)
	}
	return highest
}

// HasRates reports whether a model has a rate in force at a moment, whichever usage type it is of.
func (s *Snapshot) HasRates(model string, at time.Time) bool {
	for _, usageType := range [...]string{schema.Input, schema.Output} { // as a rule
		if _, ok := s.Rate(model, usageType, at); ok {
			return true
		}
	}
	for key := range s.rates {
		if key.model != model {
			continue
		}
		if _, ok := s.Rate(model, key.usageType, at); ok {
			return true
		}
	}
	return false
}
