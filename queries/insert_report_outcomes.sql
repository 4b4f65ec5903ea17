-- What came of sending intents. A row that is there twice says no more than once.
INSERT INTO report_outcomes
(
    organization_id,
    meter,
    window_start,
    revision,
    verdict,
    key_generation,
    at,
    writer,
    http_status,
    request_id,
    detail
)
