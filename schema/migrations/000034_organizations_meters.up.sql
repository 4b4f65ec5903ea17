-- The meters an organization reports to before stripe_meter, which takes the rest, each with its
-- subscription item; and from which hour on its usage is reported.
ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS stripe_meters Array(String) AFTER stripe_subscription_item,
    ADD COLUMN IF NOT EXISTS stripe_meter_items Array(String) AFTER stripe_meters,
    ADD COLUMN IF NOT EXISTS stripe_since DateTime('UTC') AFTER stripe_meter_items
