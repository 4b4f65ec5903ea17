-- Consumption by UTC month, as consumption_daily. Partitioned by year: a month is one value.
CREATE TABLE IF NOT EXISTS consumption_monthly
(
    organization_id UUID,
    agent_id UUID,
    month Date COMMENT 'first day of the month',
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
PARTITION BY toYear(month)
ORDER BY (organization_id, agent_id, month, user_id, usage_type, dimension_id)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
