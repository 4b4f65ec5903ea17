-- Holds: for as long as one lasts, nodes insert nothing into the ledger and keep what they accept in
-- their logs, so that whoever compares or recomputes a rollup finds no insert half done.
-- ReplacingMergeTree by version, read with FINAL; a hold that nobody ends ends by itself.
CREATE TABLE IF NOT EXISTS holds
(
    id UUID COMMENT 'a UUIDv7: of several holds the oldest is kept',
    reason String,
    until DateTime64(6, 'UTC') COMMENT 'by this database''s clock',
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
