ALTER TABLE organizations DROP COLUMN IF EXISTS retention_days
