-- An event's count of units in its current revision: the newest that no correction took back. Of
-- several copies of its first record it is the first that is not taken back itself.
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
  AND event_id = {event:UUID}
  AND usage_type = 'UNITS'
  AND entry = 'record'
  AND revision NOT IN
  (
      SELECT revision
      FROM usage_events
      WHERE organization_id = {organization:UUID}
        AND event_id = {event:UUID}
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
        AND event_id = {event:UUID}
        AND entry = 'reversal'
        AND node != {corrections_node:UUID}
  )
ORDER BY
    revision DESC,
    ingest_time,
    node,
    sequence
LIMIT 1
