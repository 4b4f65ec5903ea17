-- Where in the ledger each event lies, so that one is found by its id: the ledger is sorted by agent
-- and time, which an id does not tell, and its bloom filter has to be read for every granule of the
-- organization. A key is half of a hash of (organization, id), so that a place takes 13 bytes on
-- disk: of several events of one key the ledger knows which one is meant.
-- ReplacingMergeTree: the entries of an event lie in one place, as a rule, and are kept as one.
-- Partitioned by year, so that a look meets few parts; what retention took from the ledger may stay
-- here until its year is over: it leads nowhere. Granules are small because one row is looked for.
-- Events that were stored before this table is are found through the filter until
-- `meterhouse rebuild --table event_places` has written their places.
CREATE TABLE IF NOT EXISTS event_places
(
    key UInt32 COMMENT 'of (organization, event)' CODEC(Delta, ZSTD),
    event_time DateTime64(6, 'UTC'),
    agent_id UUID
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(event_time)
ORDER BY (key, event_time, agent_id)
SETTINGS
    index_granularity = 1024,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
