-- Feeds consumption_monthly from consumption_daily.
CREATE MATERIALIZED VIEW IF NOT EXISTS consumption_monthly_view TO consumption_monthly AS
SELECT
    organization_id,
    agent_id,
    toStartOfMonth(day) AS month,
    user_id,
    usage_type,
    dimension_id,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sum(events) AS events,
    sum(measurements) AS measurements,
    sum(unpriced) AS unpriced
FROM consumption_daily
GROUP BY
    organization_id,
    agent_id,
    month,
    user_id,
    usage_type,
    dimension_id
