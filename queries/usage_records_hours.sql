-- Which UTC hours from one on hold the records [offset, offset + limit) that follow, and how many
-- there are from that one to the first of them.
SELECT
    min(hour) AS first_hour,
    max(hour) + INTERVAL 1 HOUR AS end_hour,
    toUInt64(min(upto - records)) AS before
FROM
(
    SELECT
        hour,
        records,
        sum(records) OVER (ORDER BY hour ROWS UNBOUNDED PRECEDING) AS upto
    FROM
    (
        SELECT
            hour,
            sum(measurements) AS records
        FROM billable_hourly
        WHERE organization_id = {organization:UUID}
          AND hour >= {after:DateTime('UTC')}
          AND usage_type = 'UNITS'
        GROUP BY hour
        HAVING records > 0
    )
)
WHERE upto > {offset:Int64}
  AND upto - records < {offset:Int64} + {limit:Int64}
HAVING count() > 0
