-- The newest passes of the reporter, the newest first.
SELECT
    id,
    writer,
    started_at,
    ended_at,
    slots,
    sent,
    failed,
    toInt8(ended) AS end,
    not_before,
    detail
FROM report_runs
ORDER BY
    ended_at DESC,
    id
LIMIT {limit:UInt64}
