-- Organizations that were retired: what they used before is billed all the same.
SELECT
    id,
    name,
    tenant,
    stripe_customer,
    stripe_meter,
    stripe_subscription_item,
    stripe_meters,
    stripe_meter_items,
    stripe_since,
    events_per_minute,
    retention_days
FROM organizations FINAL
WHERE retired
ORDER BY id
