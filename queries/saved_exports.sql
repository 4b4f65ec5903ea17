-- The exports of an organization, the newest first.
SELECT
    organization_id,
    id,
    version,
    writer,
    requested_by,
    user_id,
    request,
    bounds,
    toString(state) AS state_name,
    detail,
    created_at,
    ended_at,
    expires_at,
    node,
    lease_until,
    attempt
FROM exports FINAL
WHERE organization_id = {organization:UUID}
ORDER BY
    created_at DESC,
    id
LIMIT {limit:UInt64}
