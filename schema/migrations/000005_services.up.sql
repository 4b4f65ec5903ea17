-- External services that are billed without an agent. Engine as organizations.
CREATE TABLE IF NOT EXISTS services
(
    name String,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
