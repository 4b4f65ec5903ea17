CREATE OR REPLACE VIEW user_billable_request_logs AS
SELECT
    e.event_id AS id,
    e.user_id AS user_id,
    e.organization_id AS organization_id,
    nullIf(e.agent_id, toUUID('00000000-0000-0000-0000-000000000000')) AS agent_id,
    e.service AS service_name,
    e.model AS model_name,
    sumIf(e.quantity, e.usage_type IN ('INPUT', 'CACHED_INPUT', 'CACHE_WRITE')) AS input_tokens,
    sumIf(e.quantity, e.usage_type IN ('OUTPUT', 'REASONING')) AS output_tokens,
    e.channel AS channel,
    sum(e.provider_cost) AS service_cost,
    sum(e.billed_cost) AS agent700_cost,
    e.event_time AS created_at,
    max(e.revision) AS revision,
    sumIf(toInt64(e.entry), e.pricing = 'unpriced') AS unpriced
FROM usage_events AS e
WHERE e.service != ''
GROUP BY
    e.organization_id,
    e.agent_id,
    e.event_time,
    e.event_id,
    e.user_id,
    e.service,
    e.model,
    e.channel
HAVING sum(toInt64(e.entry)) > 0
