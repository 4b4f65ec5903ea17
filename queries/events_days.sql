-- Of the UTC days in [from, to) that have events of a user, the last ones with at least so many
-- together, as events_hours, of one agent unless agent is the zero id, and of whatever model.
SELECT
    toDateTime(min(period), 'UTC') AS first_from,
    toDateTime(max(period) + 1, 'UTC') AS last_to,
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
            day AS period,
            if({usage_type:String} = '', sum(events), sum(measurements)) AS found
        FROM consumption_daily
        WHERE organization_id = {organization:UUID}
          AND (agent_id = {agent:UUID}
              OR {agent:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
          AND user_id = {user:UUID}
          AND day >= toDate({from:DateTime('UTC')})
          AND day < toDate({to:DateTime('UTC')} + INTERVAL 86399 SECOND)
          AND ({usage_type:String} = '' OR usage_type = {usage_type:String})
        GROUP BY day
        HAVING found > 0
    )
)
WHERE upto - found < {count:Int64}
HAVING count() > 0
