// Package ingest takes events into the ledger and keeps two promises about them.
//
// P1, durable ack: Record returns only after the events are fsynced in the node's write-ahead log.
// P2, counted once: a batch is inserted under a deduplication token that names its bounds in the
// log, and the bounds are fixed durably before the first try; so a batch whose outcome is unknown is
// sent again as the same bytes under the same token, and ClickHouse drops what it already has, in
// the ledger and in every table behind its views.
//
//	Record ──► queue ──► committer ──► log (one fsync for many requests) ──► Record returns
//	                                    │
//	                                    ▼ wakes
//	                                 batcher: decodes a batch while two are inserted
//	                                    │  bounds and nonces of both fixed durably
//	                                    ├──► ClickHouse, retrying for ever
//	                                    ├──► folder aside: what ClickHouse refuses though it takes others
//	                                    ▼ stored, in order: checkpoint, truncation of the log
//
// The log is the queue: the batcher reads what it sends from the log, in the normal case as after a
// crash, so that there is one way through and memory does not grow with what ClickHouse owes.
//
// A batch that is refused for what is in it must not keep the others waiting: see batcher_poison.go.
// What is set aside is a file (aside.go), which `meterhouse replay` stores (aside_replay.go).
package ingest
