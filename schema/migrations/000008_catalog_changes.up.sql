-- One row for each change of the catalog, written after the change's own rows: a node polls its
-- newest version and reads the tables again when it moved. Ordered by version, never rewritten.
CREATE TABLE IF NOT EXISTS catalog_changes
(
    version UInt64,
    changed_at DateTime64(6, 'UTC'),
    actor String,
    summary String
)
ENGINE = MergeTree
ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
