-- What an organization used in [from, to) for a meter, by model and usage type, and how much of it
-- in [recent, to).
SELECT
    meter,
    any(unit) = 'quantity' AS meter_unit,
    model,
    usage_type,
    sum(metered_hourly.quantity) AS used,
    sum(metered_hourly.billed_cost) AS cost,
    sumIf(metered_hourly.quantity, hour >= {recent:DateTime('UTC')}) AS recently_used,
    sumIf(metered_hourly.billed_cost, hour >= {recent:DateTime('UTC')}) AS recent_cost,
    sum(metered_hourly.unpriced) AS lacking
FROM metered_hourly
WHERE organization_id = {organization:UUID}
  AND hour >= {from:DateTime('UTC')}
  AND hour < {to:DateTime('UTC')}
GROUP BY
    meter,
    model,
    usage_type
HAVING used != 0 OR cost != 0 OR lacking != 0
ORDER BY
    meter,
    model,
    usage_type
