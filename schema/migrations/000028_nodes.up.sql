-- What each node last said of itself: how much of its log is in the ledger and every rollup, up to
-- when it looked for duplicates among what other nodes stored, and which hold it keeps.
-- All times are by this database's clock, so that those of the nodes need not agree.
-- ReplacingMergeTree by the moment it was said, read with FINAL: there are as many rows as nodes. Not
-- fsynced: what is lost with the power is said again.
CREATE TABLE IF NOT EXISTS nodes
(
    node UUID COMMENT 'of the log',
    said_at DateTime64(6, 'UTC'),
    stored UInt64 COMMENT 'sequence up to which the ledger and every rollup have the log',
    pending UInt64 COMMENT 'events of the log that are not stored',
    swept_at DateTime64(6, 'UTC') COMMENT 'what others had stored by then holds no duplicate',
    hold UUID COMMENT 'while it inserts nothing because of it, else zero',
    stopped Bool COMMENT 'it ended in order and has nothing half done'
)
ENGINE = ReplacingMergeTree(said_at)
ORDER BY node
