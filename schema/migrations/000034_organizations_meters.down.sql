ALTER TABLE organizations DROP COLUMN IF EXISTS stripe_meters, DROP COLUMN IF EXISTS stripe_meter_items, DROP COLUMN IF EXISTS stripe_since
