package dialect

import (
	"context"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
)

// Catalog changes who may do what and what things cost.
type Catalog interface {
	// Change asks plan, with the newest catalog, for a change and saves it with a record of who
	// made it (see ActorOf). When it returns this node knows the change, and every other node does
	// within two seconds. An error of plan's is returned as it is; Conflict is for an id, a tenant
	// or a secret that another has. Changes of one node are made one after the other. After
	// Unavailable the change may still have been made.
	Change(
		ctx context.Context, actor string, plan func(*access.Snapshot) (access.Change, error),
	) error
	// Audit returns what changed in the catalog, the newest first, and where the next page begins;
	// the zero AuditPlace when there is none.
	Audit(ctx context.Context, p AuditParams) ([]schema.AuditEntry, AuditPlace, error)
}

// AuditParams asks for a page of the record of changes.
type AuditParams struct {
	Organization uuid.UUID  // zero: every one's, and no one's
	Before       AuditPlace // zero: from the newest
	Limit        int
}

// AuditPlace is a place in the record of changes.
type AuditPlace struct {
	Version uint64
	Ordinal uint32
}
