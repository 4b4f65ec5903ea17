-- Which sequences of a node's log, from first to last, does the ledger not hold, and did not go
-- with a month that its organization keeps no longer? Runs of them.
SELECT
    toUInt64(before + 1) AS first_missing,
    toUInt64(sequence - 1) AS last_missing
FROM
(
    SELECT
        sequence,
        lagInFrame(sequence, 1, toUInt64({first:UInt64} - 1)) OVER (ORDER BY sequence) AS before
    FROM
    (
        SELECT sequence
        FROM usage_events
        WHERE node = {node:UUID}
          AND sequence >= {first:UInt64}
          AND sequence <= {last:UInt64}
          AND ordinal = 0
          AND revision = 0
          AND entry = 'record'
        UNION ALL
        SELECT part * 1000000 + arrayJoin(bitmapToArray(groupBitmapMergeState(sequences)))
            AS sequence
        FROM retired_sequences
        WHERE node = {node:UUID}
          AND part >= intDiv({first:UInt64}, 1000000)
          AND part <= intDiv({last:UInt64}, 1000000)
        GROUP BY part
        UNION ALL
        SELECT toUInt64({last:UInt64} + 1) AS sequence
    )
)
WHERE sequence > before + 1
  AND sequence > {first:UInt64}
  AND sequence <= {last:UInt64} + 1
ORDER BY first_missing
LIMIT {limit:UInt64}
