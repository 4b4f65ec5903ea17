-- Which rewritings of tables fail, or have run for an hour?
SELECT
    table,
    mutation_id,
    substring(latest_fail_reason, 1, 300) AS problem
FROM system.mutations
WHERE database = currentDatabase()
  AND NOT is_done
  AND (notEmpty(latest_fail_reason) OR create_time < now() - INTERVAL 1 HOUR)
ORDER BY
    table,
    mutation_id
LIMIT 10
