-- Feeds consumption_daily from the ledger.
CREATE MATERIALIZED VIEW IF NOT EXISTS consumption_daily_view TO consumption_daily AS
SELECT
    organization_id,
    agent_id,
    toDate(event_time, 'UTC') AS day,
    user_id,
    usage_type,
    dimension_id,
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
    day,
    user_id,
    usage_type,
    dimension_id
