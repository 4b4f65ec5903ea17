-- Feeds billable_hourly from agent_usage_15m, whose inserts are already small: a view on a rollup
-- costs a fraction of one on the ledger.
CREATE MATERIALIZED VIEW IF NOT EXISTS billable_hourly_view TO billable_hourly AS
SELECT
    organization_id,
    toStartOfHour(slot) AS hour,
    usage_type,
    model,
    chargeable,
    sum(quantity) AS quantity,
    sum(provider_cost) AS provider_cost,
    sum(billed_cost) AS billed_cost,
    sum(events) AS events,
    sum(measurements) AS measurements,
    sum(unpriced) AS unpriced
FROM agent_usage_15m
GROUP BY
    organization_id,
    hour,
    usage_type,
    model,
    chargeable
