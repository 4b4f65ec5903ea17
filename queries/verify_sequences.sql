-- How much of each node's log does the ledger hold, by ranges of 1,000,000 sequences?
-- Only events as they were first recorded come from a log, numbered from 1. A bitmap keeps dense
-- numbers small, and tells apart what count() does not: one row missing and another there twice.
SELECT
    node,
    intDiv(sequence, 1000000) AS part,
    countIf(ordinal = 0) AS events,
    toUInt64(groupBitmapIf(toUInt32(sequence % 1000000), ordinal = 0)) AS sequences,
    count() AS stored_rows,
    toUInt64(groupBitmap(toUInt32(ordinal * 1000000 + sequence % 1000000))) AS different_rows,
    min(sequence) AS first,
    max(sequence) AS last
FROM usage_events
WHERE sequence > 0
  AND revision = 0
  AND entry = 'record'
GROUP BY
    node,
    part
ORDER BY
    node,
    part
