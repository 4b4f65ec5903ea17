-- Passes of the reporter as they ended: how it went, and until when the next ones leave Stripe alone.
-- By month; sorted by time, as the newest are asked for.
CREATE TABLE IF NOT EXISTS report_runs
(
    id UUID,
    writer UUID,
    started_at DateTime64(6, 'UTC'),
    ended_at DateTime64(6, 'UTC'),
    slots UInt64 COMMENT 'that had something to be told',
    sent UInt64 COMMENT 'revisions that Stripe has since',
    failed UInt64 COMMENT 'slots that are left for another pass',
    ended Enum8('done' = 1, 'limited' = 2, 'unreachable' = 3, 'halted' = 4, 'failed' = 5),
    not_before DateTime64(6, 'UTC') COMMENT 'of the next calls, the epoch: at once',
    detail String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ended_at)
ORDER BY ended_at
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
