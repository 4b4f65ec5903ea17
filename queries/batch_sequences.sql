-- Which events of a run of one node's log does the ledger hold? The times only spare partitions.
SELECT DISTINCT sequence
FROM usage_events
WHERE node = {node:UUID}
  AND sequence >= {first:UInt64}
  AND sequence <= {last:UInt64}
  AND event_time >= {from:DateTime64(6, 'UTC')}
  AND event_time < {to:DateTime64(6, 'UTC')}
