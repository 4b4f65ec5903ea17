-- Does consumption_monthly hold the sums of consumption_daily, by UTC month?
-- Organizations, months and usage types whose sums differ, with both sums, and all of the
-- organizations named, whose days differ from the ledger. From and to are first days of months.
-- Keys are as in verify_rollups.sql.
WITH
    organization_id IN
    (
        SELECT organization_id
        FROM erasures FINAL
        WHERE done_at = toDateTime64(0, 6, 'UTC')
    ) AS replacing
SELECT
    organization_id,
    period,
    usage_type,
    sumIf(quantity, side = 'daily') AS daily_quantity,
    sumIf(provider_cost, side = 'daily') AS daily_provider_cost,
    sumIf(billed_cost, side = 'daily') AS daily_billed_cost,
    sumIf(events, side = 'daily') AS daily_events,
    sumIf(measurements, side = 'daily') AS daily_measurements,
    sumIf(unpriced, side = 'daily') AS daily_unpriced,
    sumIf(quantity, side = 'monthly') AS monthly_quantity,
    sumIf(provider_cost, side = 'monthly') AS monthly_provider_cost,
    sumIf(billed_cost, side = 'monthly') AS monthly_billed_cost,
    sumIf(events, side = 'monthly') AS monthly_events,
    sumIf(measurements, side = 'monthly') AS monthly_measurements,
    sumIf(unpriced, side = 'monthly') AS monthly_unpriced,
    sumIf(keys, side = 'daily' AND NOT replacing) AS daily_keys,
    sumIf(keys, side = 'monthly' AND NOT replacing) AS monthly_keys
FROM
(
    SELECT
        'daily' AS side,
        organization_id,
        toStartOfMonth(day) AS period,
        toString(consumption_daily.usage_type) AS usage_type,
        sum(consumption_daily.quantity) AS quantity,
        sum(consumption_daily.provider_cost) AS provider_cost,
        sum(consumption_daily.billed_cost) AS billed_cost,
        sum(consumption_daily.events) AS events,
        sum(consumption_daily.measurements) AS measurements,
        sum(consumption_daily.unpriced) AS unpriced,
        sum((reinterpretAsUInt64(consumption_daily.quantity) * 2654435761
            + reinterpretAsUInt64(consumption_daily.provider_cost) * 2246822519
            + reinterpretAsUInt64(consumption_daily.billed_cost) * 3266489917
            + toUInt64(consumption_daily.measurements) * 668265263
            + toUInt64(consumption_daily.events) * 374761393
            + toUInt64(consumption_daily.unpriced) * 2147483647)
            * cityHash64(agent_id, user_id, dimension_id)) AS keys
    FROM consumption_daily
    WHERE day >= {from:Date}
      AND day < {to:Date}
    GROUP BY
        organization_id,
        period,
        consumption_daily.usage_type
    UNION ALL
    SELECT
        'monthly' AS side,
        organization_id,
        month AS period,
        toString(consumption_monthly.usage_type) AS usage_type,
        sum(consumption_monthly.quantity) AS quantity,
        sum(consumption_monthly.provider_cost) AS provider_cost,
        sum(consumption_monthly.billed_cost) AS billed_cost,
        sum(consumption_monthly.events) AS events,
        sum(consumption_monthly.measurements) AS measurements,
        sum(consumption_monthly.unpriced) AS unpriced,
        sum((reinterpretAsUInt64(consumption_monthly.quantity) * 2654435761
            + reinterpretAsUInt64(consumption_monthly.provider_cost) * 2246822519
            + reinterpretAsUInt64(consumption_monthly.billed_cost) * 3266489917
            + toUInt64(consumption_monthly.measurements) * 668265263
            + toUInt64(consumption_monthly.events) * 374761393
            + toUInt64(consumption_monthly.unpriced) * 2147483647)
            * cityHash64(agent_id, user_id, dimension_id)) AS keys
    FROM consumption_monthly
    WHERE month >= {from:Date}
      AND month < {to:Date}
    GROUP BY
        organization_id,
        period,
        consumption_monthly.usage_type
)
WHERE period NOT IN (SELECT month FROM retired)
  AND (organization_id, period) NOT IN
  (
      SELECT
          organization_id,
          month
      FROM retired_months FINAL
      WHERE NOT done
  )
GROUP BY
    organization_id,
    period,
    usage_type
HAVING
    daily_quantity != monthly_quantity
    OR daily_provider_cost != monthly_provider_cost
    OR daily_billed_cost != monthly_billed_cost
    OR daily_events != monthly_events
    OR daily_measurements != monthly_measurements
    OR daily_unpriced != monthly_unpriced
    OR daily_keys != monthly_keys
    OR has({organizations:Array(UUID)}, organization_id)
ORDER BY
    period,
    organization_id,
    usage_type
LIMIT {limit:UInt64}
