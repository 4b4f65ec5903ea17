-- Prices of a million units, effective-dated. Engine as organizations; ordered by the question
-- "which rates has this model and usage type, in the order they came into force".
CREATE TABLE IF NOT EXISTS text_model_costs
(
    id UUID COMMENT 'named after all other columns: a changed price is another rate',
    model String,
    usage_type String,
    provider String,
    provider_usd_per_million Decimal(38, 12),
    billed_usd_per_million Decimal(38, 12),
    effective_from DateTime64(6, 'UTC'),
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (model, usage_type, effective_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
