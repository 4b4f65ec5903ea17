package schema

import (
	"time"

	"github.com/google/uuid"
)

// SystemStatus is how a node is, and the installation as far as the node sees it. What could not be
// found out says why in Problem, where it has one, and is zero otherwise.
type SystemStatus struct {
	Node      uuid.UUID // of its log
	Version   string    // of the program
	StartedAt time.Time
	Time      time.Time // now, of this node's clock

	Log        SystemLog
	Ingest     SystemIngest
	ClickHouse SystemClickHouse
	Verify     SystemVerify
	Aside      SystemAside
	Peers      SystemPeers
	Reports    SystemReports
	Exports    SystemExports
}

// SystemLog is a node's log: what is acknowledged and not yet stored.
type SystemLog struct {
	PendingEvents int64
	PendingBytes  int64 // of the log's files, what is stored and not yet removed included
	LimitBytes    int64 // from where on writers are refused
	// Lag is the age of the oldest event that is not stored; 0 when all are.
	Lag time.Duration
}

// SystemIngest counts events since the node started. They only grow.
type SystemIngest struct {
	Accepted   int64
	Duplicates int64
	Rejected   int64
	Refused    int64 // because a bound was reached, or a part was down
	Stored     int64
}

// SystemClickHouse is the database as this node sees it.
type SystemClickHouse struct {
	Reachable bool
	Embedded  bool // it is this node's own engine
	Version   string
	Ping      time.Duration
	Problem   string
}

// SystemVerify is the node's last proof that what is derived equals the ledger.
type SystemVerify struct {
	Every         time.Duration // 0: this node makes none by itself
	LastRunAt     time.Time     // zero: none since the start
	LastSuccessAt time.Time     // zero: none since the start
	Result        string        // ok, differences, failed; empty: none since the start
	Differences   []string      // the first of them
	More          int           // how many differences are not listed
}

// SystemAside are batches that ClickHouse refuses for what is in them, the oldest first.
type SystemAside struct {
	Batches []AsideBatch
	Problem string
}

// AsideBatch is a batch that is set aside until `meterhouse replay` stores it.
type AsideBatch struct {
	File        string
	First, Last uint64 // sequences of the node's log
	Reason      string
	Events      int
}

// SystemPeers are the nodes that are known in the database, this one among them.
type SystemPeers struct {
	Nodes   []PeerNode
	Problem string
}

// PeerNode is a node as it tells of itself.
type PeerNode struct {
	ID     uuid.UUID
	SeenAt time.Time
}

// SystemReports is what this node tells Stripe.
type SystemReports struct {
	Enabled    bool
	LastRunAt  time.Time // zero: none since the start
	OldestOpen time.Time // start of the oldest hour that Stripe lacks; zero: none
	OpenSlots  int64
}

// SystemExports are saved exports under way on any node.
type SystemExports struct {
	Pending, Running int
	Problem          string
}
