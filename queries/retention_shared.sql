-- Has any organization but some anything of the month that starts on a day? Whether one has.
SELECT count() > 0 AS shared
FROM
(
    SELECT 1
    FROM usage_events
    WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
      AND event_time < toDateTime64({to:Date}, 6, 'UTC')
      AND organization_id NOT IN {organizations:Array(UUID)}
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM agent_usage_15m
    WHERE slot >= toDateTime({from:Date}, 'UTC')
      AND slot < toDateTime({to:Date}, 'UTC')
      AND organization_id NOT IN {organizations:Array(UUID)}
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM billable_hourly
    WHERE hour >= toDateTime({from:Date}, 'UTC')
      AND hour < toDateTime({to:Date}, 'UTC')
      AND organization_id NOT IN {organizations:Array(UUID)}
    LIMIT 1
    UNION ALL
    SELECT 1
    FROM consumption_daily
    WHERE day >= {from:Date}
      AND day < {to:Date}
      AND organization_id NOT IN {organizations:Array(UUID)}
    LIMIT 1
)
