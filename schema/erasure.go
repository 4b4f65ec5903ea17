package schema

import (
	"crypto/sha256"
	"encoding/hex"
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

// ErasureSubject is what a person of an organization is known by after an erasure, for as long as
// usage of theirs may come in late: the SHA-256 of both ids as text, in lower-case hexadecimal.
func ErasureSubject(organization, user uuid.UUID) string {
	sum := sha256.Sum256([]byte(organization.String() + user.String()))
	return hex.EncodeToString(sum[:])
}
