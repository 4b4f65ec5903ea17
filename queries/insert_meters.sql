-- Meters, each a new version of its row.
INSERT INTO meters
(
    name,
    unit,
    usage_types,
    models,
    stripe_id,
    retired,
    version
)
