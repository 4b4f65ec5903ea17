-- What a slot's number is made of, by usage type, model and rate, from the ledger itself.
SELECT
    usage_type,
    model,
    rate_id,
    toInt8(pricing) AS priced,
    sumIf(toInt64(entry), ordinal = 0) AS events,
    sum(toInt64(entry)) AS measurements,
    sum(e.quantity) AS used,
    sum(e.billed_cost) AS cost
FROM usage_events AS e
WHERE organization_id = {organization:UUID}
  AND event_time >= {start:DateTime('UTC')}
  AND event_time < {start:DateTime('UTC')} + INTERVAL 1 HOUR
  AND chargeable
  AND (toString(usage_type), toString(model)) IN
  (
      SELECT
          toString(usage_type),
          toString(model)
      FROM metered_hourly
      WHERE organization_id = {organization:UUID}
        AND metered_hourly.hour = {start:DateTime('UTC')}
        AND metered_hourly.meter = {meter:String}
  )
GROUP BY
    usage_type,
    model,
    rate_id,
    pricing
HAVING measurements != 0 OR used != 0 OR cost != 0
ORDER BY
    usage_type,
    model,
    rate_id,
    priced
