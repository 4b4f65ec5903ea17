-- The next events with a key that a node accepted, in the order of its log.
SELECT
    sequence,
    event_id,
    organization_id,
    ingest_time
FROM event_keys
WHERE node = {node:UUID}
  AND sequence > {after:UInt64}
  AND sequence <= {to:UInt64}
ORDER BY sequence
LIMIT {limit:UInt64}
