-- What uses models on an organization's behalf. Engine and order as organizations.
CREATE TABLE IF NOT EXISTS agents
(
    id UUID,
    organization_id UUID,
    name String,
    owner_id UUID,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
