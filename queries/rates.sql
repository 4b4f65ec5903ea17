-- The rates with these ids, those that are no longer in force too.
SELECT
    id,
    model,
    usage_type,
    provider,
    provider_usd_per_million,
    billed_usd_per_million,
    effective_from
FROM text_model_costs FINAL
WHERE has({ids:Array(UUID)}, id)
ORDER BY
    model,
    usage_type,
    effective_from,
    id
