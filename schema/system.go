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
	PendingBytes  int64 // of these
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
}

// SystemClickHouse is the database as this node sees it.
type SystemClickHouse struct {
	Reachable bool
	Embedded  bool // it is this node's own engine
	Version   string
	Ping      time.Duration // of one question
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

// SystemAside is what could not be stored, the oldest first: batches that ClickHouse refuses, and what
// the disk gave back damaged.
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

// PeerNode is a node as it last told of itself.
type PeerNode struct {
	ID      uuid.UUID
	SeenAt  time.Time // by the database's clock
	Live    bool      // it runs, as far as the others can know
	Stopped bool      // it ended in order
	Pending int64     // events of its log that were not stored then
}

// SystemReports is how far Stripe is told.
type SystemReports struct {
	Enabled    bool      // this node reports
	LastRunAt  time.Time // of any node; zero: none ever
	OldestOpen time.Time // start of the oldest hour that Stripe lacks; zero: none
	OpenSlots  int64
	Problem    string
}

// SystemExports are saved exports that are to be made or are being made, on any node.
type SystemExports struct {
	Pending int
	Running int
	Problem string
}
