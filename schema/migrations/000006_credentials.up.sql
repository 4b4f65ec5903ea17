-- SHA-256 of the secrets that let a bearer act as an agent or as a user of an organization; the
-- secrets themselves are nowhere. Engine as organizations; ordered by what identifies a row.
CREATE TABLE IF NOT EXISTS credentials
(
    kind Enum8('agent_secret' = 1, 'login_token' = 2, 'app_password' = 3, 'access_token' = 4),
    secret_sha256 String COMMENT 'lower-case hexadecimal',
    organization_id UUID,
    user_id UUID,
    agent_id UUID,
    retired Bool DEFAULT false,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (kind, secret_sha256)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
