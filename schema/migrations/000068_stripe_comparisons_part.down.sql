ALTER TABLE stripe_comparisons DROP COLUMN IF EXISTS part
