-- Every entry of the ledger about one event, wherever it lies: for those whose places nobody
-- wrote down.
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
  AND event_id = {event:UUID}
ORDER BY
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
