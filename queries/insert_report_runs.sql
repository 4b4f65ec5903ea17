-- How a pass of the reporter ended.
INSERT INTO report_runs
(
    id,
    writer,
    started_at,
    ended_at,
    slots,
    sent,
    failed,
    ended,
    not_before,
    detail
)
