-- Every entry of the ledger about one event, with who made the corrections among them and why.
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
    sequence,
    actor,
    reason
FROM
(
    SELECT
        *,
        if(node = {corrections_node:UUID}, sequence, 0) AS number
    FROM usage_events
    WHERE organization_id = {organization:UUID}
      AND event_id = {event:UUID}
) AS entries
LEFT ANY JOIN
(
    SELECT
        number,
        actor,
        reason
    FROM corrections
    WHERE organization_id = {organization:UUID}
      AND number IN
      (
          SELECT sequence
          FROM usage_events
          WHERE organization_id = {organization:UUID}
            AND event_id = {event:UUID}
            AND node = {corrections_node:UUID}
      )
) AS made USING (number)
ORDER BY
    revision,
    entry DESC,
    ingest_time,
    node,
    sequence,
    ordinal
