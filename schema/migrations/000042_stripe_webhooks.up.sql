-- Events that Stripe sent, stored before they are acknowledged, and then again when they are dealt
-- with. ReplacingMergeTree by id: an event that is delivered again is the same row, and what is
-- dealt with stays so. Read with FINAL.
CREATE TABLE IF NOT EXISTS stripe_webhooks
(
    id String COMMENT 'Stripe''s: evt_…',
    type LowCardinality(String),
    received_at DateTime64(6, 'UTC'),
    done Bool,
    done_at DateTime64(6, 'UTC'),
    detail String COMMENT 'what came of it',
    body String COMMENT 'as it was signed, empty when it is dealt with' CODEC(ZSTD)
)
ENGINE = ReplacingMergeTree(done)
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
