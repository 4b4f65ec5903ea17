-- That the database was restored from a backup. What Stripe was told after the backup is not in it, so
-- reports wait until somebody has compared, and revisions of slots go on at numbers that were not
-- used: see docs/operations.md. A restored ledger is another table: its UUID is the id, which lets a
-- node see it by itself, whoever restored. ReplacingMergeTree by version, read with FINAL: a few rows.
CREATE TABLE IF NOT EXISTS restores
(
    ledger UUID COMMENT 'of the table usage_events',
    restored_at DateTime64(6, 'UTC'),
    reports_at DateTime64(6, 'UTC') COMMENT 'when reports were let go on, the epoch: they wait',
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY ledger
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
