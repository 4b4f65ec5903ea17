-- What came of sending intents, a row an attempt, and what was learned of them later. The state of
-- a revision is its greatest verdict, so that rows of slow instances, repeated or out of order, cannot
-- take it back: below 10 it may still be sent, below 20 it is over and Stripe does not have it, below
-- 30 Stripe has it, and from 30 on Stripe turned out not to. By month; sorted by slot.
CREATE TABLE IF NOT EXISTS report_outcomes
(
    organization_id UUID,
    meter LowCardinality(String),
    window_start DateTime('UTC'),
    revision UInt32,
    verdict Enum8(
        'unknown' = 1, 'retry' = 2, 'rotate' = 3,
        'abandoned' = 10, 'rejected' = 11, 'conflict' = 12,
        'accepted' = 20, 'duplicate' = 21, 'settled' = 22,
        'refused' = 30, 'differs' = 31
    ),
    key_generation UInt16 COMMENT 'of the idempotency key that was used',
    at DateTime64(6, 'UTC'),
    writer UUID,
    http_status UInt16 COMMENT '0: there was no answer',
    request_id String COMMENT 'Stripe''s',
    detail String COMMENT 'what was said, without secrets'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(window_start)
ORDER BY (organization_id, meter, window_start, revision, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
