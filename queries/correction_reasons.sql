-- Who made some corrections of an organization's, and why.
SELECT
    number,
    actor,
    reason
FROM corrections
WHERE organization_id = {organization:UUID}
  AND number IN {numbers:Array(UInt64)}
