-- Organizations, each a new version of its row.
INSERT INTO organizations
(
    id,
    name,
    tenant,
    stripe_customer,
    stripe_meter,
    stripe_subscription_item,
    events_per_minute,
    retired,
    version
)
