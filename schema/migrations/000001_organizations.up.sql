-- Who is billed. ReplacingMergeTree: a change is a new row with a higher version, read with FINAL;
-- the table is small and read whole into a snapshot, so it has one part to speak of and no partition.
CREATE TABLE IF NOT EXISTS organizations
(
    id UUID,
    name String,
    tenant String COMMENT 'public name on the Memori routes',
    stripe_customer String,
    stripe_meter String,
    stripe_subscription_item String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
