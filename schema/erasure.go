package schema

import (
	"time"

	"github.com/google/uuid"
)

// Erasure is a person's identifiers being replaced everywhere; what the person used stays, under
// the replacement.
type Erasure struct {
	Organization uuid.UUID
	User         uuid.UUID // who was erased: known to the one who asks, kept nowhere but here until done
	Replacement  uuid.UUID // stands in User's place
	RequestedAt  time.Time
	DoneAt       time.Time // zero: it is under way
}
