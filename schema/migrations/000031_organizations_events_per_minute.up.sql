-- How many events of an organization a node takes in a minute; 0: the node's default.
ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS events_per_minute UInt32 AFTER stripe_subscription_item
