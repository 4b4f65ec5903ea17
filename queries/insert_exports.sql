-- A version of an export, under a token of both: the first writer of a version has it.
INSERT INTO exports
(
    organization_id,
    id,
    version,
    writer,
    requested_by,
    user_id,
    request,
    bounds,
    state,
    detail,
    created_at,
    ended_at,
    expires_at,
    node,
    lease_until,
    attempt
)
