-- What each Stripe meter counts: of which usage types and models, in micro-USD of billed cost or in
-- whole units of the quantity. ReplacingMergeTree as organizations.
CREATE TABLE IF NOT EXISTS meters
(
    name String COMMENT 'Stripe''s event_name',
    unit Enum8('micro_usd' = 0, 'quantity' = 1),
    usage_types Array(String) COMMENT 'empty: all',
    models Array(String) COMMENT 'names, or beginnings of names before a *, empty: all',
    stripe_id String COMMENT 'mtr_…, empty: looked up by name',
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
