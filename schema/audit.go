package schema

import (
	"time"

	"github.com/google/uuid"
)

// AuditAction is what happened to a thing of the catalog.
type AuditAction uint8

// The actions.
const (
	Created AuditAction = 1
	Changed AuditAction = 2
	Retired AuditAction = 3
)

// AuditEntry is one thing that a change of the catalog touched. Neither a secret nor a hash of one
// is ever part of it.
type AuditEntry struct {
	Organization uuid.UUID // whose it is; zero: no single one's
	Kind         string    // organization, user, membership, agent, …
	ID           string    // as the admin API names it
	Action       AuditAction
	Before       string // a JSON object; empty for what is new
	After        string // a JSON object; empty for what is retired

	// These are the change's; SaveCatalog fills them in.
	Version uint64
	Ordinal uint32
	At      time.Time
	Actor   string
}
