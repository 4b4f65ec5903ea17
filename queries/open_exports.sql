-- The exports that a node has to look after: those to make, and those with files.
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
WHERE state IN ('queued', 'running')
   OR state = 'done'
      AND expires_at > toDateTime64(0, 6, 'UTC')
ORDER BY
    created_at,
    id
