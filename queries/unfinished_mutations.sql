-- Is a table being rewritten, and if that fails, why?
SELECT
    count() AS unfinished,
    max(latest_fail_reason) AS why
FROM system.mutations
WHERE database = currentDatabase()
  AND table IN {tables:Array(String)}
  AND NOT is_done
  AND NOT is_killed
