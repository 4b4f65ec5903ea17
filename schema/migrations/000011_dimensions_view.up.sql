-- Feeds dimensions from the ledger: a handful of rows per batch.
CREATE MATERIALIZED VIEW IF NOT EXISTS dimensions_view TO dimensions AS
SELECT
    organization_id,
    dimension_id,
    any(service) AS service,
    any(provider) AS provider,
    any(provider_endpoint) AS provider_endpoint,
    any(provider_key) AS provider_key,
    any(model) AS model,
    any(chargeable) AS chargeable,
    any(purpose) AS purpose
FROM usage_events
GROUP BY
    organization_id,
    dimension_id
