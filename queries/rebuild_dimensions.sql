-- Describes what dimensions does not describe of the ledger in days [from, to).
INSERT INTO dimensions
SELECT
    organization_id,
    dimension_id,
    service,
    provider,
    provider_endpoint,
    provider_key,
    model,
    chargeable,
    purpose
FROM usage_events
WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
  AND (organization_id, dimension_id) NOT IN
(
    SELECT
        organization_id,
        dimension_id
    FROM dimensions
)
LIMIT 1 BY
    organization_id,
    dimension_id
