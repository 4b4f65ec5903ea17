-- Every comparison of what Stripe says it holds with what it was told, equal or not.
CREATE TABLE IF NOT EXISTS stripe_comparisons
(
    organization_id UUID,
    meter LowCardinality(String),
    from_time DateTime('UTC'),
    to_time DateTime('UTC'),
    ledger_units Int64 COMMENT 'that are billable',
    reported_units Int64 COMMENT 'that Stripe accepted',
    stripe_units Int64 COMMENT 'that Stripe says it has',
    repaired UInt32 COMMENT 'slots that will be sent again because of it',
    at DateTime64(6, 'UTC'),
    run UUID
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (organization_id, meter, at, from_time)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
