-- For analysts, as usage_hourly: by UTC day, agent, user and everything a dimension describes. The
-- sums come first and one row of each dimension second: neither unmerged rows nor repeated
-- dimensions count twice, and what the join gets is small. A condition on organization_id, agent_id
-- or day reaches the primary key of consumption_daily, one on organization_id that of dimensions.
CREATE VIEW IF NOT EXISTS usage_daily
SQL SECURITY INVOKER
AS SELECT
    u.organization_id AS organization_id,
    u.agent_id AS agent_id,
    u.day AS day,
    u.user_id AS user_id,
    u.usage_type AS usage_type,
    d.service AS service,
    d.provider AS provider,
    d.provider_endpoint AS provider_endpoint,
    d.provider_key AS provider_key,
    d.model AS model,
    d.chargeable AS chargeable,
    d.purpose AS purpose,
    u.quantity_sum AS quantity,
    u.provider_sum AS provider_cost,
    u.billed_sum AS billed_cost,
    u.events_sum AS events,
    u.measurements_sum AS measurements,
    u.unpriced_sum AS unpriced
FROM
(
    SELECT
        organization_id,
        agent_id,
        day,
        user_id,
        usage_type,
        dimension_id,
        sum(quantity) AS quantity_sum,
        sum(provider_cost) AS provider_sum,
        sum(billed_cost) AS billed_sum,
        sum(events) AS events_sum,
        sum(measurements) AS measurements_sum,
        sum(unpriced) AS unpriced_sum
    FROM consumption_daily
    GROUP BY
        organization_id,
        agent_id,
        day,
        user_id,
        usage_type,
        dimension_id
    HAVING measurements_sum != 0 OR quantity_sum != 0 OR billed_sum != 0 OR provider_sum != 0
) AS u
LEFT ANY JOIN dimensions AS d
    ON d.organization_id = u.organization_id AND d.dimension_id = u.dimension_id
