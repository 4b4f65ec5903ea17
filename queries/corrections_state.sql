-- How far an organization's corrections are: the newest number, and up to which they are applied.
SELECT
    (
        SELECT max(number)
        FROM corrections
        WHERE organization_id = {organization:UUID}
    ) AS newest,
    (
        SELECT max(number)
        FROM corrections_applied
        WHERE organization_id = {organization:UUID}
    ) AS applied
