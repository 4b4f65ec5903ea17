-- Feeds agent_usage_15m from the ledger.
CREATE MATERIALIZED VIEW IF NOT EXISTS agent_usage_15m_view TO agent_usage_15m AS
SELECT
    organization_id,
    agent_id,
    toStartOfFifteenMinutes(toDateTime(event_time, 'UTC')) AS slot,
    usage_type,
    service,
    model,
    chargeable,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sumIf(toInt64(entry), ordinal = 0) AS events,
    sum(toInt64(entry)) AS measurements,
    sumIf(toInt64(entry), pricing = 'unpriced') AS unpriced
FROM usage_events
GROUP BY
    organization_id,
    agent_id,
    slot,
    usage_type,
    service,
    model,
    chargeable
