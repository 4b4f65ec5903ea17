-- The carries into and out of a slot, and out of the period that starts in it.
SELECT
    from_window,
    number,
    id,
    to_window,
    units,
    reason,
    created_at,
    writer
FROM report_carries
WHERE organization_id = {organization:UUID}
  AND meter = {meter:String}
  AND (
      to_window = {start:DateTime('UTC')}
      OR from_window = {start:DateTime('UTC')}
      OR toStartOfHour(from_window) = {start:DateTime('UTC')}
  )
ORDER BY
    from_window,
    number,
    created_at
