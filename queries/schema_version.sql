-- Which version has the schema, and is it whole? As golang-migrate notes it.
SELECT
    version,
    dirty != 0 AS half
FROM schema_migrations
ORDER BY sequence DESC
LIMIT 1
