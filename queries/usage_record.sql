-- An event's count of units in its current revision: the newest that is not reversed.
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
  )
ORDER BY revision DESC
LIMIT 1
