-- Every rate, those of one model and usage type in the order they came into force.
SELECT
    id,
    model,
    usage_type,
    provider,
    provider_usd_per_million,
    billed_usd_per_million,
    effective_from
FROM text_model_costs FINAL
WHERE NOT retired
ORDER BY
    model,
    usage_type,
    effective_from
