-- Who makes the scheduled pass of a time: a row is inserted under a token of its name, so that of
-- several instances one has it. Only saves work; nothing depends on it. Kept for a day.
CREATE TABLE IF NOT EXISTS report_leases
(
    name String COMMENT 'of the work and its time',
    holder UUID,
    at DateTime('UTC') COMMENT 'the holder''s clock',
    kept_from DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
ORDER BY name
TTL kept_from + INTERVAL 1 DAY
SETTINGS non_replicated_deduplication_window = 10000
