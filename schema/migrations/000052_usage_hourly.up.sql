-- For analysts (docs/analysts.md): what an organization used by UTC hour, usage type and model.
-- billable_hourly with its sums done, so that nobody reads rows that are not merged yet as totals.
-- Its rights are its reader's, who sees what row policies on the table let through; a condition on
-- organization_id or hour reaches the primary key.
CREATE VIEW IF NOT EXISTS usage_hourly
SQL SECURITY INVOKER
AS SELECT
    u.organization_id AS organization_id,
    u.hour AS hour,
    u.usage_type AS usage_type,
    u.model AS model,
    u.chargeable AS chargeable,
    sum(u.quantity) AS quantity,
    sum(u.provider_cost) AS provider_cost,
    sum(u.billed_cost) AS billed_cost,
    sum(u.events) AS events,
    sum(u.measurements) AS measurements,
    sum(u.unpriced) AS unpriced
FROM billable_hourly AS u
GROUP BY
    u.organization_id,
    u.hour,
    u.usage_type,
    u.model,
    u.chargeable
HAVING measurements != 0 OR quantity != 0 OR billed_cost != 0 OR provider_cost != 0
