-- What an organization used by UTC hour, usage type and model: the sums that billing reports, and
-- the analysts' fastest answer. SummingMergeTree as agent_usage_15m. Sorted by hour before type and
-- model, because the reporter reads whole hours of an organization and analysts read ranges.
CREATE TABLE IF NOT EXISTS billable_hourly
(
    organization_id UUID,
    hour DateTime('UTC'),
    usage_type LowCardinality(String),
    model LowCardinality(String),
    chargeable Bool,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64,
    measurements Int64,
    unpriced Int64
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(hour)
ORDER BY (organization_id, hour, usage_type, model, chargeable)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
