-- What Stripe held beside what it was told.
INSERT INTO stripe_comparisons
(
    organization_id,
    meter,
    from_time,
    to_time,
    ledger_units,
    reported_units,
    stripe_units,
    repaired,
    at,
    run,
    part
)
