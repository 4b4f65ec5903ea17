-- People and programs that act for organizations. Engine and order as organizations.
CREATE TABLE IF NOT EXISTS users
(
    id UUID,
    name String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
