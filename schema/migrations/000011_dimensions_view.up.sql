-- Feeds dimensions from the ledger: a handful of rows per batch. LIMIT BY, because any row of an
-- id will do and no aggregate has to carry seven strings.
CREATE MATERIALIZED VIEW IF NOT EXISTS dimensions_view TO dimensions AS
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
LIMIT 1 BY
    organization_id,
    dimension_id
