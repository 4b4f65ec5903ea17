-- Up to which sequence does the ledger have each node's log? What went with retired months is not
-- in the ledger, and what a node said of itself tells of it.
SELECT
    node,
    max(newest) AS stored
FROM
(
    SELECT
        node,
        sequence AS newest
    FROM usage_events
    WHERE sequence > 0
      AND revision = 0
      AND entry = 'record'
    UNION ALL
    SELECT
        node,
        part * 1000000 + bitmapMax(sequences) AS newest
    FROM
    (
        SELECT
            node,
            part,
            groupBitmapMergeState(retired_sequences.sequences) AS sequences
        FROM retired_sequences
        GROUP BY
            node,
            part
    )
)
GROUP BY node
ORDER BY node
