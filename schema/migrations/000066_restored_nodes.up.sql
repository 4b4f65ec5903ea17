-- Which events of a node's log a restored ledger does not have and the log neither: they were stored
-- after the backup, and are lost. What is missing from the ledger and noted here is no finding of
-- verify's. ReplacingMergeTree, read with FINAL: said again, after a crash, it is the same row.
CREATE TABLE IF NOT EXISTS restored_nodes
(
    ledger UUID COMMENT 'of the table usage_events, as of restores',
    node UUID,
    first UInt64 COMMENT 'sequence of the first that is lost',
    last UInt64 COMMENT 'of the last, before first where none is',
    said_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(said_at)
ORDER BY (ledger, node)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
