-- Usage of each agent by quarter hour, the finest grain every time zone's days are made of.
-- SummingMergeTree: merges add up what batches brought; readers always sum(). Sorted by agent and
-- time, the dashboards' question. Partitioned by month like the ledger, so that both are kept as
-- long. Its sums are Decimal(38): a sum of the widest quantities does not overflow.
CREATE TABLE IF NOT EXISTS agent_usage_15m
(
    organization_id UUID,
    agent_id UUID,
    slot DateTime('UTC') COMMENT 'start of the quarter hour',
    usage_type LowCardinality(String),
    service LowCardinality(String),
    model LowCardinality(String),
    chargeable Bool,
    quantity Decimal(38, 6),
    provider_cost Decimal(38, 12),
    billed_cost Decimal(38, 12),
    events Int64 COMMENT 'counts an event once, at its first measurement',
    measurements Int64,
    unpriced Int64 COMMENT 'measurements without a rate'
)
ENGINE = SummingMergeTree((quantity, provider_cost, billed_cost, events, measurements, unpriced))
PARTITION BY toYYYYMM(slot)
ORDER BY (organization_id, agent_id, slot, usage_type, service, model, chargeable)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
