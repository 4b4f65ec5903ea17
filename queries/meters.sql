-- Every meter, and what it counts.
SELECT
    name,
    CAST(unit AS Int8) AS unit,
    usage_types,
    models,
    stripe_id
FROM meters FINAL
WHERE NOT retired
ORDER BY name
