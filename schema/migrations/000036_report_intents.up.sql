-- What Stripe is to be told: revision N of a slot has this total. Written before the first call and
-- never changed, so that every try of every instance sends the same number under the same name.
-- Intents are written in numbered batches, each one insert under a token of its number: of two
-- writers of one number only the first is there, and it had seen every batch before. Not partitioned:
-- deduplication is by partition, and all batches have to meet. Sorted by slot, as they are read.
CREATE TABLE IF NOT EXISTS report_intents
(
    organization_id UUID,
    meter LowCardinality(String) COMMENT 'Stripe''s event_name',
    window_start DateTime('UTC') COMMENT 'the slot''s hour',
    revision UInt32 COMMENT 'counts the slot''s from 1',
    mode Enum8('preaggregated' = 1, 'usage_record' = 2, 'raw' = 3),
    total Int64 COMMENT 'units of the slot as of this revision',
    send Int64 COMMENT 'what is sent: the total, in mode raw the difference',
    identifier String COMMENT 'names the revision to Stripe',
    customer String COMMENT 'Stripe''s',
    subscription_item String COMMENT 'Stripe''s, for mode usage_record',
    created_at DateTime64(6, 'UTC'),
    writer UUID,
    batch UInt64 COMMENT 'counts the batches from 1',
    batch_id UUID COMMENT 'of the try: tells its writer whether it won the number',
    PROJECTION newest (SELECT max(batch)),
    PROJECTION batches (SELECT batch, max(batch_id) GROUP BY batch),
    PROJECTION firsts (
        SELECT organization_id, meter, min(window_start)
        GROUP BY organization_id, meter
    )
)
ENGINE = MergeTree
ORDER BY (organization_id, meter, window_start, revision)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
