-- Do agent_usage_15m, billable_hourly and consumption_daily hold the ledger's sums, by UTC day?
-- Rollups, organizations, days and usage types whose sums differ, with both sums, by reading the
-- ledger once. From and to are days, and days names some of them, or none for all.
-- Keys are a sum as well, modulo 2^64: of what a row counts times a hash of what its key has beside
-- day and usage type. Sums that are counted for another hour, model or agent have other keys. While
-- users are replaced in an organization, consumption_daily is compared without.
WITH
    target = 'consumption_daily' AND organization_id IN
    (
        SELECT organization_id
        FROM erasures FINAL
        WHERE done_at = toDateTime64(0, 6, 'UTC')
    ) AS replacing
SELECT
    target,
    organization_id,
    period,
    usage_type,
    sumIf(quantity, side = 'ledger') AS ledger_quantity,
    sumIf(provider_cost, side = 'ledger') AS ledger_provider_cost,
    sumIf(billed_cost, side = 'ledger') AS ledger_billed_cost,
    sumIf(events, side = 'ledger') AS ledger_events,
    sumIf(measurements, side = 'ledger') AS ledger_measurements,
    sumIf(unpriced, side = 'ledger') AS ledger_unpriced,
    sumIf(quantity, side = 'rollup') AS rollup_quantity,
    sumIf(provider_cost, side = 'rollup') AS rollup_provider_cost,
    sumIf(billed_cost, side = 'rollup') AS rollup_billed_cost,
    sumIf(events, side = 'rollup') AS rollup_events,
    sumIf(measurements, side = 'rollup') AS rollup_measurements,
    sumIf(unpriced, side = 'rollup') AS rollup_unpriced,
    sumIf(keys, side = 'ledger' AND NOT replacing) AS ledger_keys,
    sumIf(keys, side = 'rollup' AND NOT replacing) AS rollup_keys
FROM
(
    SELECT
        'ledger' AS side,
        (arrayJoin([
            ('agent_usage_15m', quarter_keys),
            ('billable_hourly', hour_keys),
            ('consumption_daily', day_keys)
        ]) AS pair).1 AS target,
        organization_id,
        period,
        toString(type) AS usage_type,
        quantity,
        provider_cost,
        billed_cost,
        events,
        measurements,
        unpriced,
        pair.2 AS keys
    FROM
    (
        WITH
            reinterpretAsUInt64(usage_events.quantity) * 2654435761
                + reinterpretAsUInt64(usage_events.provider_cost) * 2246822519
                + reinterpretAsUInt64(usage_events.billed_cost) * 3266489917
                + toUInt64(toInt8(entry)) * (668265263 + (ordinal = 0) * 374761393
                    + (pricing = 'unpriced') * 2147483647) AS counted,
            toDateTime(event_time, 'UTC') AS at
        SELECT
            organization_id,
            toDate(event_time, 'UTC') AS period,
            usage_type AS type,
            sum(usage_events.quantity) AS quantity,
            sum(usage_events.provider_cost) AS provider_cost,
            sum(usage_events.billed_cost) AS billed_cost,
            sum(if(ordinal = 0, toInt64(entry), 0)) AS events,
            sum(toInt64(entry)) AS measurements,
            sum(if(pricing = 'unpriced', toInt64(entry), 0)) AS unpriced,
            sum(counted * cityHash64(
                agent_id, toStartOfFifteenMinutes(at), service, model, chargeable)) AS quarter_keys,
            sum(counted * cityHash64(toStartOfHour(at), model, chargeable)) AS hour_keys,
            sum(counted * cityHash64(agent_id, user_id, dimension_id)) AS day_keys
        FROM usage_events
        WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
          AND event_time < toDateTime64({to:Date}, 6, 'UTC')
          AND (empty({days:Array(Date)}) OR toDate(event_time, 'UTC') IN {days:Array(Date)})
        GROUP BY
            organization_id,
            period,
            type
    )
    UNION ALL
    SELECT
        'rollup' AS side,
        'agent_usage_15m' AS target,
        organization_id,
        toDate(slot, 'UTC') AS period,
        toString(agent_usage_15m.usage_type) AS usage_type,
        sum(agent_usage_15m.quantity) AS quantity,
        sum(agent_usage_15m.provider_cost) AS provider_cost,
        sum(agent_usage_15m.billed_cost) AS billed_cost,
        sum(agent_usage_15m.events) AS events,
        sum(agent_usage_15m.measurements) AS measurements,
        sum(agent_usage_15m.unpriced) AS unpriced,
        sum((reinterpretAsUInt64(agent_usage_15m.quantity) * 2654435761
            + reinterpretAsUInt64(agent_usage_15m.provider_cost) * 2246822519
            + reinterpretAsUInt64(agent_usage_15m.billed_cost) * 3266489917
            + toUInt64(agent_usage_15m.measurements) * 668265263
            + toUInt64(agent_usage_15m.events) * 374761393
            + toUInt64(agent_usage_15m.unpriced) * 2147483647)
            * cityHash64(agent_id, slot, service, model, chargeable)) AS keys
    FROM agent_usage_15m
    WHERE slot >= toDateTime({from:Date}, 'UTC')
      AND slot < toDateTime({to:Date}, 'UTC')
      AND (empty({days:Array(Date)}) OR toDate(slot, 'UTC') IN {days:Array(Date)})
    GROUP BY
        organization_id,
        period,
        agent_usage_15m.usage_type
    UNION ALL
    SELECT
        'rollup' AS side,
        'billable_hourly' AS target,
        organization_id,
        toDate(hour, 'UTC') AS period,
        toString(billable_hourly.usage_type) AS usage_type,
        sum(billable_hourly.quantity) AS quantity,
        sum(billable_hourly.provider_cost) AS provider_cost,
        sum(billable_hourly.billed_cost) AS billed_cost,
        sum(billable_hourly.events) AS events,
        sum(billable_hourly.measurements) AS measurements,
        sum(billable_hourly.unpriced) AS unpriced,
        sum((reinterpretAsUInt64(billable_hourly.quantity) * 2654435761
            + reinterpretAsUInt64(billable_hourly.provider_cost) * 2246822519
            + reinterpretAsUInt64(billable_hourly.billed_cost) * 3266489917
            + toUInt64(billable_hourly.measurements) * 668265263
            + toUInt64(billable_hourly.events) * 374761393
            + toUInt64(billable_hourly.unpriced) * 2147483647)
            * cityHash64(hour, model, chargeable)) AS keys
    FROM billable_hourly
    WHERE hour >= toDateTime({from:Date}, 'UTC')
      AND hour < toDateTime({to:Date}, 'UTC')
      AND (empty({days:Array(Date)}) OR toDate(hour, 'UTC') IN {days:Array(Date)})
    GROUP BY
        organization_id,
        period,
        billable_hourly.usage_type
    UNION ALL
    SELECT
        'rollup' AS side,
        'consumption_daily' AS target,
        organization_id,
        day AS period,
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
      AND (empty({days:Array(Date)}) OR day IN {days:Array(Date)})
    GROUP BY
        organization_id,
        period,
        consumption_daily.usage_type
)
WHERE toStartOfMonth(period) NOT IN (SELECT month FROM retired)
  AND (organization_id, toStartOfMonth(period)) NOT IN
  (
      SELECT
          organization_id,
          month
      FROM retired_months FINAL
      WHERE NOT done
  )
GROUP BY
    target,
    organization_id,
    period,
    usage_type
HAVING
    ledger_quantity != rollup_quantity
    OR ledger_provider_cost != rollup_provider_cost
    OR ledger_billed_cost != rollup_billed_cost
    OR ledger_events != rollup_events
    OR ledger_measurements != rollup_measurements
    OR ledger_unpriced != rollup_unpriced
    OR ledger_keys != rollup_keys
ORDER BY
    target,
    period,
    organization_id,
    usage_type
LIMIT {limit:UInt64} BY target
