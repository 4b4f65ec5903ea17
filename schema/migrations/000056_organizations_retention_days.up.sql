-- How long an organization's usage is kept: a month goes when it ended so many days ago; 0: never.
ALTER TABLE organizations
    ADD COLUMN IF NOT EXISTS retention_days UInt32 AFTER events_per_minute
