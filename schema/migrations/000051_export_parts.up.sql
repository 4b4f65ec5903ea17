-- The parts of exports that are whole: a part is noted once its file is on disk, or its object is in
-- the bucket. What is not noted is made again.
-- ReplacingMergeTree, read with FINAL: a part that is noted twice counts as it was noted last.
CREATE TABLE IF NOT EXISTS export_parts
(
    organization_id UUID,
    export_id UUID,
    attempt UInt32,
    part UInt32 COMMENT 'from 0',
    name String COMMENT 'of the file or object',
    rows UInt64,
    bytes UInt64,
    sha256 String COMMENT 'lower-case hexadecimal, empty: the engine wrote it',
    noted_at DateTime64(6, 'UTC'),
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (organization_id, export_id, attempt, part)
TTL kept_from + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
