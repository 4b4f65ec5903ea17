-- What changed in the catalog, when, and by whom: a row for each thing a change touched, with what
-- it was and what it is; of a secret, never more than the id of its credential. Ordered by time,
-- as it is read: the newest first, or those of one organization. Append-only.
CREATE TABLE IF NOT EXISTS catalog_audit
(
    version UInt64 COMMENT 'of the change in catalog_changes',
    ordinal UInt32 COMMENT 'within the change',
    changed_at DateTime64(6, 'UTC'),
    actor String COMMENT 'user:<id> with credential:<id>, or the command that did it',
    organization_id UUID COMMENT 'whose it is, zero for what belongs to none',
    kind LowCardinality(String) COMMENT 'organization, user, membership, agent, …',
    id String COMMENT 'of the thing, as the admin API names it',
    action Enum8('create' = 1, 'change' = 2, 'retire' = 3),
    before String COMMENT 'JSON, empty for what is new',
    after String COMMENT 'JSON, empty for what is retired'
)
ENGINE = MergeTree
ORDER BY (version, ordinal)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
