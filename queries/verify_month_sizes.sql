-- How many rows has the ledger of days [from, to), by month?
SELECT
    toStartOfMonth(event_time) AS month,
    count() AS size
FROM usage_events
WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
GROUP BY month
ORDER BY month
