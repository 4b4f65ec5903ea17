-- Up to which number an organization's corrections are in the ledger. They are applied in order,
-- each before the next is written, so that one number says it all and at most one is open.
-- ReplacingMergeTree by that number, read with FINAL: a late writer cannot take it back.
CREATE TABLE IF NOT EXISTS corrections_applied
(
    organization_id UUID,
    number UInt64
)
ENGINE = ReplacingMergeTree(number)
ORDER BY organization_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
