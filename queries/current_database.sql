-- Which database is this, and what time is it there?
SELECT
    currentDatabase() AS name,
    now64(6, 'UTC') AS now
