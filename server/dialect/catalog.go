package dialect

import (
	"context"

	"github.com/meterhouse/meterhouse/server/access"
)

// Catalog changes who may do what and what things cost.
type Catalog interface {
	// Change asks plan, with the newest catalog, for a change and saves it with a record of who
	// made it (see ActorOf). When it returns this node knows the change, and every other node does
	// within two seconds. An error of plan's is returned as it is. Changes of one node are made
	// one after the other.
	Change(
		ctx context.Context, actor string, plan func(*access.Snapshot) (access.Change, error),
	) error
}
