-- Every entry of the ledger about some events, found where event_places says they lie, and where
-- they were found: an event that was stored before its places were noted lies there, as a rule.
SELECT
    event_id,
    revision,
    toInt8(entry) AS entry,
    event_time,
    ingest_time,
    user_id,
    agent_id,
    service,
    channel,
    api_name,
    endpoint,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose,
    usage_type,
    quantity,
    provider_cost,
    billed_cost,
    rate_id,
    toInt8(pricing) AS pricing,
    node,
    sequence
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND event_id IN {events:Array(UUID)}
  AND (agent_id, event_time) IN
  (
      SELECT
          agent_id,
          event_time
      FROM event_places
      WHERE key IN
      (
          SELECT toUInt32(cityHash64({organization:UUID}, arrayJoin({events:Array(UUID)})))
      )
      UNION ALL
      SELECT
          place.1,
          place.2
      FROM
      (
          SELECT arrayJoin(arrayZip(
              {agents:Array(UUID)}, {times:Array(DateTime64(6, 'UTC'))})) AS place
      )
  )
ORDER BY
    event_id,
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
