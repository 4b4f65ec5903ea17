-- The ledger: one row per measurement, append-only; a correction appends a reversal and a
-- replacement, so that every sum over it is linear and the views behind it stay right.
-- MergeTree: rows are facts, never replaced. Partitioned by month of the event: retention drops
-- whole partitions, and an insert meets few of them. Sorted by organization, agent and time, the
-- question its readers ask (one agent's usage between two instants); an event by its id is found
-- through the bloom filter, and the rows of one event lie together.
-- The deduplication window makes a batch that is sent again under its token count once, here and
-- in every table behind a view; inserts are fsynced, because the log is truncated after them.
CREATE TABLE IF NOT EXISTS usage_events
(
    organization_id UUID,
    event_id UUID,
    revision UInt32,
    entry Enum8('record' = 1, 'reversal' = -1),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    ingest_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD),
    user_id UUID,
    agent_id UUID,
    service LowCardinality(String),
    channel LowCardinality(String),
    api_name LowCardinality(String),
    endpoint LowCardinality(String),
    provider LowCardinality(String),
    provider_endpoint LowCardinality(String),
    provider_key LowCardinality(String) COMMENT 'obfuscated',
    model LowCardinality(String),
    chargeable Bool,
    purpose LowCardinality(String),
    usage_type LowCardinality(String),
    ordinal UInt8 COMMENT 'position of the measurement in its event, 0 is counted as the event',
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    rate_id UUID,
    pricing Enum8('unpriced' = 0, 'rated' = 1, 'given' = 2),
    node UUID,
    sequence UInt64 COMMENT 'of the event in the log of its node' CODEC(Delta, ZSTD),
    dimension_id UInt64 MATERIALIZED cityHash64(
        service, provider, provider_endpoint, provider_key, model, chargeable, purpose),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (organization_id, agent_id, event_time, event_id)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
