-- Which organizations have corrections that are not applied, and which numbers?
-- Only the key of the journal is read: a few bytes for each correction ever made.
SELECT
    organization_id,
    maxIf(number, side = 'made') AS newest,
    maxIf(number, side = 'applied') AS applied
FROM
(
    SELECT
        'made' AS side,
        organization_id,
        number
    FROM corrections
    UNION ALL
    SELECT
        'applied' AS side,
        organization_id,
        number
    FROM corrections_applied
)
GROUP BY organization_id
HAVING newest > applied
ORDER BY organization_id
