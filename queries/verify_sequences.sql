-- How much of each node's log does the ledger hold, by ranges of 1,000,000 sequences, and how much
-- together with what went with months that organizations keep no longer?
-- Only events as they were first recorded come from a log, numbered from 1. A bitmap keeps dense
-- numbers small, and tells apart what count() does not: one row missing and another there twice.
SELECT
    node,
    part,
    sum(recorded) AS events,
    sum(present) AS sequences,
    toUInt64(groupBitmapMerge(numbers)) AS accounted,
    sum(row_count) AS stored_rows,
    sum(row_numbers) AS different_rows,
    min(least_number) AS first,
    max(greatest_number) AS last
FROM
(
    SELECT
        node,
        intDiv(sequence, 1000000) AS part,
        countIf(ordinal = 0) AS recorded,
        groupBitmapStateIf(toUInt32(sequence % 1000000), ordinal = 0) AS numbers,
        bitmapCardinality(numbers) AS present,
        count() AS row_count,
        toUInt64(groupBitmap(toUInt32(ordinal * 1000000 + sequence % 1000000))) AS row_numbers,
        min(sequence) AS least_number,
        max(sequence) AS greatest_number
    FROM usage_events
    WHERE sequence > 0
      AND revision = 0
      AND entry = 'record'
    GROUP BY
        node,
        part
    UNION ALL
    SELECT
        node,
        part,
        0 AS recorded,
        groupBitmapMergeState(sequences) AS numbers,
        0 AS present,
        0 AS row_count,
        0 AS row_numbers,
        part * 1000000 + bitmapMin(numbers) AS least_number,
        part * 1000000 + bitmapMax(numbers) AS greatest_number
    FROM retired_sequences
    GROUP BY
        node,
        part
)
GROUP BY
    node,
    part
ORDER BY
    node,
    part
