-- Saved exports: who asked for what, how far it is and which node makes it. Each change is a row of
-- the next version, inserted under a token of the export and the version, so that of two writers of
-- one version one has it: a job that was cancelled or taken over learns it from its next row.
-- ReplacingMergeTree by version, read with FINAL: an organization has few. Sorted by organization,
-- which every question but the nodes' own names. Kept for a month: the files are gone after a day.
CREATE TABLE IF NOT EXISTS exports
(
    organization_id UUID,
    id UUID,
    version UInt64,
    writer UUID COMMENT 'of this version: tells a writer whether it has it',
    requested_by UUID,
    user_id UUID COMMENT 'whose usage, zero: everybody''s',
    request String COMMENT 'what is asked, JSON',
    bounds Array(DateTime64(6, 'UTC')) COMMENT 'the parts are between them',
    state Enum8(
        'queued' = 1, 'running' = 2, 'done' = 3, 'failed' = 4, 'canceled' = 5, 'expired' = 6),
    detail String COMMENT 'of a failed one: why',
    created_at DateTime64(6, 'UTC'),
    ended_at DateTime64(6, 'UTC') COMMENT 'the epoch: not yet',
    expires_at DateTime64(6, 'UTC') COMMENT 'of the files, the epoch: none yet',
    node UUID COMMENT 'that makes it or made it, zero: none yet',
    lease_until DateTime64(6, 'UTC') COMMENT 'another node may take it then',
    attempt UInt32 COMMENT 'files of earlier ones are on other nodes',
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (organization_id, id)
TTL kept_from + INTERVAL 30 DAY
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
