-- How many events of each node's log went with the months that were dropped?
SELECT
    node,
    part,
    sum(events) AS events
FROM retired FINAL
GROUP BY
    node,
    part
