-- The events that have an idempotency key, once for each time one was accepted, in the order in which
-- each node's log has them: from here a node learns the keys that other nodes accepted, and a new
-- node all of them; an event that is here twice was accepted by two nodes.
-- MergeTree sorted by node and sequence, the question "what has that node accepted since";
-- partitioned by week of acceptance, so that what is older than the window of known keys, which is a
-- setting of the nodes, goes by partition. The organization and the time find the event in the ledger.
CREATE TABLE IF NOT EXISTS event_keys
(
    node UUID,
    sequence UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta, ZSTD),
    event_id UUID,
    organization_id UUID,
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    ingest_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD)
)
ENGINE = MergeTree
PARTITION BY toMonday(ingest_time, 'UTC')
ORDER BY (node, sequence)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
