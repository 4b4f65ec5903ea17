-- Which events of each node's log went with the months that organizations keep no longer, noted
-- before they go: what is missing from the ledger and not noted here is lost. A set, not a count: to
-- note an event again, after a crash or because it came late, changes nothing, and the union of what
-- is noted and what is there is the whole log. Two bytes an event at most, an eighth of a byte
-- where a log is one organization's. AggregatingMergeTree: sets of one key are united in merges.
CREATE TABLE IF NOT EXISTS retired_sequences
(
    organization_id UUID,
    month Date COMMENT 'its first day',
    node UUID,
    part UInt64 COMMENT 'the sequences from part * 1000000 on',
    sequences AggregateFunction(groupBitmap, UInt32) COMMENT 'less part * 1000000'
)
ENGINE = AggregatingMergeTree
ORDER BY (organization_id, month, node, part)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
