-- The next events of an organization that a rate may price, of one model unless model is empty:
-- every entry of those that the first rows behind a place in the ledger's order are of, voided ones
-- included.
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
  AND event_time >= {from:DateTime64(6, 'UTC')}
  AND event_time < {to:DateTime64(6, 'UTC')}
  AND (model = {model:String} OR {model:String} = '')
  AND (agent_id, event_time, event_id) IN
  (
      SELECT
          agent_id,
          event_time,
          event_id
      FROM usage_events
      WHERE organization_id = {organization:UUID}
        AND event_time >= {from:DateTime64(6, 'UTC')}
        AND event_time < {to:DateTime64(6, 'UTC')}
        AND (model = {model:String} OR {model:String} = '')
        AND model != ''
        AND entry = 'record'
        AND pricing != 'given'
        AND agent_id >= {after_agent:UUID}
        AND
        (
            agent_id > {after_agent:UUID}
            OR event_time > {after_time:DateTime64(6, 'UTC')}
            OR event_time = {after_time:DateTime64(6, 'UTC')}
                AND event_id > {after_event:UUID}
        )
      ORDER BY
          agent_id,
          event_time,
          event_id
      LIMIT {rows:UInt64} -- of measurements: telling events apart here would read all of them
  )
ORDER BY
    agent_id,
    event_time,
    event_id,
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
