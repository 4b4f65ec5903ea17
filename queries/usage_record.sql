-- What a usage record shows of every entry of the ledger about one event, found where event_places
-- says it lies.
SELECT
    event_id,
    revision,
    toInt8(entry) AS entry,
    event_time,
    ingest_time,
    user_id,
    api_name,
    endpoint,
    provider_key,
    usage_type,
    quantity,
    billed_cost,
    node,
    sequence
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND event_id = {event:UUID}
  AND (agent_id, event_time) IN
  (
      SELECT
          agent_id,
          event_time
      FROM event_places
      WHERE key = toUInt32(cityHash64({organization:UUID}, {event:UUID}))
  )
ORDER BY
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
