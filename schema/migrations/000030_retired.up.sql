-- What a month held of each node's log, noted before it is dropped from the ledger (the statement is
-- in docs/operations.md): verify then knows which sequences went with it, and which are lost.
-- ReplacingMergeTree, read with FINAL: to note a month twice changes nothing.
CREATE TABLE IF NOT EXISTS retired
(
    month Date COMMENT 'its first day',
    node UUID,
    part UInt64 COMMENT 'the sequences from part * 1000000 on',
    events UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (month, node, part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
