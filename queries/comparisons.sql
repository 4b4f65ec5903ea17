-- Comparisons of what Stripe holds with what it was told, the newest first, of one organization or,
-- when it is the zero id, of all.
SELECT
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
FROM stripe_comparisons
WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
  AND at >= {from:DateTime64(6, 'UTC')}
  AND at < {to:DateTime64(6, 'UTC')}
ORDER BY
    at DESC,
    organization_id,
    meter,
    from_time
LIMIT {limit:UInt64}
