-- Rates, each a new version of its row.
INSERT INTO text_model_costs
(
    id,
    model,
    usage_type,
    provider,
    provider_usd_per_million,
    billed_usd_per_million,
    effective_from,
    retired,
    version
)
