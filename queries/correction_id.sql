-- Whose try won a number of an organization's corrections?
SELECT id
FROM corrections
WHERE organization_id = {organization:UUID}
  AND number = {number:UInt64}
