-- Which tables and views are there?
SELECT
    name,
    engine
FROM system.tables
WHERE database = currentDatabase()
ORDER BY name
