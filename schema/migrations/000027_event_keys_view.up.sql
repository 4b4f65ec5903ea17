-- Feeds event_keys from the ledger: the first measurement of each event as it was first recorded,
-- if its id is made of a key, which is a UUID of version 5.
CREATE MATERIALIZED VIEW IF NOT EXISTS event_keys_view TO event_keys AS
SELECT
    node,
    sequence,
    event_id,
    organization_id,
    event_time,
    ingest_time
FROM usage_events
WHERE revision = 0
  AND entry = 'record'
  AND ordinal = 0
  AND bitAnd(bitShiftRight(toUInt128(event_id), 76), 15) = 5
