-- Of which months that end by a day has an organization anything, in the ledger or in a rollup?
SELECT month
FROM
(
    SELECT DISTINCT toStartOfMonth(toDate(event_time, 'UTC')) AS month
    FROM usage_events
    WHERE organization_id = {organization:UUID}
      AND event_time < toDateTime64({before:Date}, 6, 'UTC')
    UNION ALL
    SELECT DISTINCT toStartOfMonth(toDate(slot, 'UTC')) AS month
    FROM agent_usage_15m
    WHERE organization_id = {organization:UUID}
      AND slot < toDateTime({before:Date}, 'UTC')
    UNION ALL
    SELECT DISTINCT toStartOfMonth(toDate(hour, 'UTC')) AS month
    FROM billable_hourly
    WHERE organization_id = {organization:UUID}
      AND hour < toDateTime({before:Date}, 'UTC')
    UNION ALL
    SELECT DISTINCT toStartOfMonth(day) AS month
    FROM consumption_daily
    WHERE organization_id = {organization:UUID}
      AND day < {before:Date}
    UNION ALL
    SELECT DISTINCT consumption_monthly.month AS month
    FROM consumption_monthly
    WHERE organization_id = {organization:UUID}
      AND consumption_monthly.month < {before:Date}
)
GROUP BY month
ORDER BY month
