ALTER TABLE credentials
    DROP COLUMN IF EXISTS name,
    DROP COLUMN IF EXISTS expires_at,
    DROP COLUMN IF EXISTS requests_per_minute
