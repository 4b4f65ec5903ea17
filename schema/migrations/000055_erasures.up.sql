-- People who are being forgotten, and for a while those who were. A row has the person's id only as
-- long as something has to be replaced; statements that replace it name the erasure, never the
-- person, because the database keeps the text of mutations. What arrives later, from a log say, is
-- known by the subject, until the row goes. Asked for under a token of the subject, so that of two
-- who ask at once only the first is there. ReplacingMergeTree by version, read with FINAL.
CREATE TABLE IF NOT EXISTS erasures
(
    id UUID,
    organization_id UUID,
    subject String COMMENT 'SHA-256 of organization and user, lower-case hexadecimal',
    user_id UUID COMMENT 'while it is under way, then zero',
    replacement_id UUID,
    requested_at DateTime64(6, 'UTC'),
    done_at DateTime64(6, 'UTC') COMMENT 'the epoch: it is under way',
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY id
TTL toDateTime(done_at, 'UTC') + INTERVAL 35 DAY DELETE WHERE done_at > toDateTime64(0, 6, 'UTC')
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
