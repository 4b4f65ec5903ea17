-- Of the UTC hours in [from, to) that have events of an organization, the last ones with at least
-- so many together, of a model and with a usage type where they are not empty: when they begin and
-- end, and how many there are.
SELECT
    min(period) AS first_from,
    max(period) + INTERVAL 1 HOUR AS last_to,
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
            hour AS period,
            if({usage_type:String} = '', sum(events), sum(measurements)) AS found
        FROM billable_hourly
        WHERE organization_id = {organization:UUID}
          AND hour >= {from:DateTime('UTC')}
          AND hour < {to:DateTime('UTC')}
          AND ({model:String} = '' OR model = {model:String})
          AND ({usage_type:String} = '' OR usage_type = {usage_type:String})
        GROUP BY hour
        HAVING found > 0
    )
)
WHERE upto - found < {count:Int64}
HAVING count() > 0
