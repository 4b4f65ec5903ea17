-- What lists a credential, ends it and bounds it. The epoch stands for no end; zero requests a
-- minute for the node's own limit.
ALTER TABLE credentials
    ADD COLUMN IF NOT EXISTS name String AFTER agent_id,
    ADD COLUMN IF NOT EXISTS expires_at DateTime64(6, 'UTC') AFTER name,
    ADD COLUMN IF NOT EXISTS requests_per_minute UInt32 AFTER expires_at
