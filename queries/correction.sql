-- One correction of an organization's, with the entries that make it.
SELECT
    id,
    corrected_at,
    actor,
    reason,
    events,
    entries
FROM corrections
WHERE organization_id = {organization:UUID}
  AND number = {number:UInt64}
