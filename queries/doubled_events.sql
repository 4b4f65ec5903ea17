-- Which of these events did two nodes accept, and when did they happen, in the eyes of each?
SELECT
    organization_id,
    event_id,
    groupArray(event_time) AS times
FROM event_keys
WHERE event_id IN {events:Array(UUID)}
GROUP BY
    organization_id,
    event_id
HAVING count() > 1
