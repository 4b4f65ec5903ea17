-- Does billable_hourly hold the sums of the ledger, by UTC day?
-- Organizations, periods and usage types whose sums differ, with both sums. From and to are days.
SELECT
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
    sumIf(unpriced, side = 'rollup') AS rollup_unpriced
FROM
(
    SELECT
        'ledger' AS side,
        organization_id,
        toDate(event_time, 'UTC') AS period,
        toString(usage_type) AS usage_type,
        sum(usage_events.quantity) AS quantity,
        sum(usage_events.provider_cost) AS provider_cost,
        sum(usage_events.billed_cost) AS billed_cost,
        sum(if(ordinal = 0, toInt64(entry), 0)) AS events,
        sum(toInt64(entry)) AS measurements,
        sum(if(pricing = 'unpriced', toInt64(entry), 0)) AS unpriced
    FROM usage_events
    WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
      AND event_time < toDateTime64({to:Date}, 6, 'UTC')
    GROUP BY
        organization_id,
        period,
        usage_type
    UNION ALL
    SELECT
        'rollup' AS side,
        organization_id,
        toDate(hour, 'UTC') AS period,
        toString(usage_type) AS usage_type,
        sum(billable_hourly.quantity) AS quantity,
        sum(billable_hourly.provider_cost) AS provider_cost,
        sum(billable_hourly.billed_cost) AS billed_cost,
        sum(billable_hourly.events) AS events,
        sum(billable_hourly.measurements) AS measurements,
        sum(billable_hourly.unpriced) AS unpriced
    FROM billable_hourly
    WHERE hour >= toDateTime({from:Date}, 'UTC')
      AND hour < toDateTime({to:Date}, 'UTC')
    GROUP BY
        organization_id,
        period,
        usage_type
)
GROUP BY
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
ORDER BY
    period,
    organization_id,
    usage_type
LIMIT {limit:UInt64}
