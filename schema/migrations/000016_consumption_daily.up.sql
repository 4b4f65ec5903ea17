-- Consumption by UTC day, agent, user and dimension: the consumption logs, and whole days of an
-- agent's long ranges. SummingMergeTree as agent_usage_15m. Sorted by agent before day for the
-- agents' question; a tenant's reads the few months its range covers. Partitioned by month.
CREATE TABLE IF NOT EXISTS consumption_daily
(
    organization_id UUID,
    agent_id UUID,
    day Date,
    user_id UUID,
    usage_type LowCardinality(String),
    dimension_id UInt64,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64,
    measurements Int64,
    unpriced Int64
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(day)
ORDER BY (organization_id, agent_id, day, user_id, usage_type, dimension_id)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
