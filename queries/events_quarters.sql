-- Of the quarter hours in [from, to) that have events of an agent, the last ones with at least so
-- many together, as events_hours, and of a service where it is not empty.
SELECT
    min(period) AS first_from,
    max(period) + INTERVAL 15 MINUTE AS last_to,
    toUInt64(sum(found)) AS found_in_all
FROM
(
    SELECT
        period,
        found,
        sum(found) OVER (ORDER BY period DESC ROWS UNBOUNDED PRECEDING) AS upto
    FROM
    (
        SELECT
            slot AS period,
            if({usage_type:String} = '', sum(events), sum(measurements)) AS found
        FROM agent_usage_15m
        WHERE organization_id = {organization:UUID}
          AND agent_id = {agent:UUID}
          AND slot >= {from:DateTime('UTC')}
          AND slot < {to:DateTime('UTC')}
          AND ({model:String} = '' OR model = {model:String})
          AND ({service:String} = '' OR service = {service:String})
          AND ({usage_type:String} = '' OR usage_type = {usage_type:String})
        GROUP BY slot
        HAVING found > 0
    )
)
WHERE upto - found < {count:Int64}
HAVING count() > 0
