-- What a usage record shows of every entry of the ledger about one event, wherever it lies: for
-- those whose places nobody wrote down.
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
ORDER BY
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
