-- What came of a slot's attempts, and was learned later, by revision and time.
SELECT
    revision,
    toInt8(verdict) AS said,
    key_generation,
    at,
    writer,
    http_status,
    request_id,
    detail
FROM report_outcomes
WHERE organization_id = {organization:UUID}
  AND meter = {meter:String}
  AND window_start = {start:DateTime('UTC')}
ORDER BY
    revision,
    at,
    writer,
    said
