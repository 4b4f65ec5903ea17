-- Which UTC days from one on hold the records [offset, offset + limit) of a user that follow, and
-- how many there are from that one to the first of them.
SELECT
    toDateTime(min(day), 'UTC') AS first_day,
    toDateTime(max(day) + 1, 'UTC') AS end_day,
    toUInt64(min(upto - records)) AS before
FROM
(
    SELECT
        day,
        records,
        sum(records) OVER (ORDER BY day ROWS UNBOUNDED PRECEDING) AS upto
    FROM
    (
        SELECT
            day,
            sum(measurements) AS records
        FROM consumption_daily
        WHERE organization_id = {organization:UUID}
          AND user_id = {user:UUID}
          AND day >= toDate({after:DateTime('UTC')})
          AND usage_type = 'UNITS'
        GROUP BY day
        HAVING records > 0
    )
)
WHERE upto > {offset:Int64}
  AND upto - records < {offset:Int64} + {limit:Int64}
HAVING count() > 0
