-- Every credential that still opens something.
SELECT
    kind,
    secret_sha256,
    organization_id,
    user_id,
    agent_id,
    name,
    expires_at,
    requests_per_minute
FROM credentials FINAL
WHERE NOT retired
ORDER BY
    kind,
    secret_sha256
