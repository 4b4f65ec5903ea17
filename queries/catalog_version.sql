-- The version of the catalog's newest change, 0 before the first.
SELECT
    max(version) AS version
FROM catalog_changes
