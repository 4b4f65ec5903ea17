-- Records [offset, offset + limit) of those in [from, to), which starts and ends at an hour: an
-- organization's counts of units in their current revisions, by time and id, of one user unless
-- user is the zero id. An event that two nodes accepted is there once. Of the ledger only the
-- quarter hours of the agents that have such counts are read.
SELECT
    event_id,
    user_id,
    api_name,
    endpoint,
    quantity,
    billed_cost,
    provider_key,
    event_time,
    revision
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND event_time >= {from:DateTime('UTC')}
  AND event_time < {to:DateTime('UTC')}
  AND (agent_id, toStartOfFifteenMinutes(toDateTime(event_time, 'UTC'))) IN
  (
      SELECT
          agent_id,
          slot
      FROM agent_usage_15m
      WHERE organization_id = {organization:UUID}
        AND slot >= {from:DateTime('UTC')}
        AND slot < {to:DateTime('UTC')}
        AND usage_type = 'UNITS'
  )
  AND usage_type = 'UNITS'
  AND entry = 'record'
  AND (user_id = {user:UUID} OR {user:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
  AND (event_id, revision) NOT IN
  (
      SELECT
          event_id,
          revision
      FROM usage_events
      WHERE organization_id = {organization:UUID}
        AND event_time >= {from:DateTime('UTC')}
        AND event_time < {to:DateTime('UTC')}
        AND usage_type = 'UNITS'
        AND entry = 'reversal'
        AND node = {corrections_node:UUID}
  )
  AND (node, sequence) NOT IN
  (
      SELECT
          node,
          sequence
      FROM usage_events
      WHERE organization_id = {organization:UUID}
        AND event_time >= {from:DateTime('UTC')}
        AND event_time < {to:DateTime('UTC')}
        AND usage_type = 'UNITS'
        AND entry = 'reversal'
        AND node != {corrections_node:UUID}
  )
ORDER BY
    event_time,
    UUIDToNum(event_id), -- a UUID of ClickHouse's sorts by its second half first
    ingest_time,
    node
LIMIT 1 BY event_id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
