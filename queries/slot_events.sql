-- The entries of the ledger that a slot counts, in the order of time.
SELECT
    event_id,
    revision,
    entry = 'reversal' AS reversal,
    event_time,
    usage_type,
    model,
    quantity,
    billed_cost,
    rate_id
FROM usage_events
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
ORDER BY
    event_time,
    event_id,
    revision,
    reversal,
    ordinal
LIMIT {limit:UInt64}
