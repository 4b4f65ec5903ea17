-- An organization's measurements in [from, to), of one user unless user is the zero id: every entry
-- of the ledger, what was taken back and what took it back included, so that sums are right. In the
-- order in which the ledger keeps them, so that they stream.
SELECT
    toString(e.event_id) AS event_id,
    e.revision AS revision,
    toString(e.entry) AS entry,
    e.event_time AS time,
    e.ingest_time AS recorded_at,
    nullIf(toString(e.agent_id), '00000000-0000-0000-0000-000000000000') AS agent_id,
    nullIf(toString(e.user_id), '00000000-0000-0000-0000-000000000000') AS user_id,
    toString(e.service) AS service,
    toString(e.channel) AS channel,
    toString(e.api_name) AS api_name,
    toString(e.endpoint) AS endpoint,
    toString(e.provider) AS provider,
    toString(e.provider_endpoint) AS provider_endpoint,
    toString(e.provider_key) AS provider_key,
    toString(e.model) AS model,
    e.chargeable AS chargeable,
    toString(e.purpose) AS purpose,
    toString(e.usage_type) AS usage_type,
    e.quantity AS quantity,
    e.provider_cost AS provider_cost_usd,
    e.billed_cost AS billed_cost_usd,
    toString(e.pricing) AS pricing,
    nullIf(toString(e.rate_id), '00000000-0000-0000-0000-000000000000') AS rate_id
FROM usage_events AS e
WHERE e.organization_id = {organization:UUID}
  AND e.event_time >= {from:DateTime64(6, 'UTC')}
  AND e.event_time < {to:DateTime64(6, 'UTC')}
  AND ({user:UUID} = toUUID('00000000-0000-0000-0000-000000000000') OR e.user_id = {user:UUID})
ORDER BY
    e.agent_id,
    e.event_time,
    e.event_id,
    e.revision,
    e.entry DESC,
    e.ingest_time,
    e.node,
    e.sequence,
    e.ordinal
