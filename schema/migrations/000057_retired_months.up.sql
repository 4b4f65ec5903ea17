-- The months of organizations that were removed, or are being: while one is not done, its rollups
-- need not equal the ledger. Reports leave its hours alone for ever: what Stripe was told of them was
-- right, and nothing is left to compare it with. ReplacingMergeTree by version, read with FINAL.
CREATE TABLE IF NOT EXISTS retired_months
(
    organization_id UUID,
    month Date COMMENT 'its first day',
    done Bool,
    at DateTime64(6, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (organization_id, month)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
