-- Every agent.
SELECT
    id,
    organization_id,
    name,
    owner_id
FROM agents FINAL
WHERE NOT retired
ORDER BY id
