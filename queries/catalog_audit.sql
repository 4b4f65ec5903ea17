-- What changed in the catalog before a place in its record, the newest first: what is an
-- organization's, or everything when organization is the zero id. A change that was never announced
-- did not happen, and one that was saved twice is told once.
SELECT
    organization_id,
    kind,
    id,
    action,
    before,
    after,
    version,
    ordinal,
    changed_at,
    actor
FROM catalog_audit
WHERE (organization_id = {organization:UUID}
       OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
  AND version <= {version:UInt64}
  AND (version, ordinal) < ({version:UInt64}, {ordinal:UInt64})
  AND version IN (SELECT version FROM catalog_changes)
ORDER BY
    version DESC,
    ordinal DESC
LIMIT 1 BY
    version,
    ordinal
LIMIT {limit:UInt64}
