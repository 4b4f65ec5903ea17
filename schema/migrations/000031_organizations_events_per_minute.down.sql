ALTER TABLE organizations DROP COLUMN IF EXISTS events_per_minute
