-- Every organization.
SELECT
    id,
    name,
    tenant,
    stripe_customer,
    stripe_meter,
    stripe_subscription_item,
    events_per_minute
FROM organizations FINAL
WHERE NOT retired
ORDER BY id
