-- Every user's role in every organization.
SELECT
    organization_id,
    user_id,
    role,
    active
FROM memberships FINAL
WHERE NOT retired
ORDER BY
    organization_id,
    user_id
