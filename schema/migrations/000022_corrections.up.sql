-- The journal of corrections: who changed which events, and the ledger's rows that do it, written
-- before they are. An organization's corrections are numbered without a gap; a row is inserted
-- under a token of (organization, number), so that of two writers of one number only the first is
-- there, whichever node it came from. Not partitioned: deduplication is by partition, and the
-- numbers of an organization have to meet. MergeTree: a correction is a fact, never replaced.
CREATE TABLE IF NOT EXISTS corrections
(
    organization_id UUID,
    number UInt64 COMMENT 'counts an organization''s corrections from 1',
    id UUID COMMENT 'of the try: tells its writer whether it won the number',
    corrected_at DateTime64(6, 'UTC'),
    actor String,
    reason String,
    events UInt32 COMMENT 'that are corrected',
    entries String COMMENT 'the reversals and replacements, encoded as in the log' CODEC(ZSTD)
)
ENGINE = MergeTree
ORDER BY (organization_id, number)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
