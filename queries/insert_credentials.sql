-- Credentials, each a new version of its row.
INSERT INTO credentials
(
    kind,
    secret_sha256,
    organization_id,
    user_id,
    agent_id,
    name,
    expires_at,
    requests_per_minute,
    retired,
    version
)
