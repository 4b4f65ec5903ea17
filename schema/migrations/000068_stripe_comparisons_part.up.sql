-- Which comparisons are of a day or an hour of a longer range that was compared as well: what a
-- reconciliation came to is the sum of the others.
ALTER TABLE stripe_comparisons
    ADD COLUMN IF NOT EXISTS part Bool COMMENT 'of a longer range' AFTER run
