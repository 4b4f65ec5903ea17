-- What an hour or a closed period can no longer be told of, moved to a slot that is open. A row is
-- inserted under a token of (organization, meter, from_window, number): of two writers of one
-- number only the first is there. Not partitioned, as report_intents. Few rows: sorted by origin.
CREATE TABLE IF NOT EXISTS report_carries
(
    organization_id UUID,
    meter LowCardinality(String),
    from_window DateTime('UTC') COMMENT 'the hour, or the start of the closed period',
    number UInt32 COMMENT 'counts those of from_window from 1',
    id UUID COMMENT 'of the try: tells its writer whether it won the number',
    to_window DateTime('UTC') COMMENT 'the slot that takes it',
    units Int64 COMMENT 'may be negative',
    reason String,
    created_at DateTime64(6, 'UTC'),
    writer UUID
)
ENGINE = MergeTree
ORDER BY (organization_id, meter, from_window, number)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
