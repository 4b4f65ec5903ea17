-- Which sequences of each node's log does the ledger hold? A bitmap keeps dense sequences small.
SELECT
    node,
    groupBitmap(sequence) AS sequences,
    min(sequence) AS first,
    max(sequence) AS last
FROM usage_events
GROUP BY node
ORDER BY node
