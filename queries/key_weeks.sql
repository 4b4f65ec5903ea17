-- Of which weeks that ended before a day are keys kept? A week is its Monday.
SELECT DISTINCT partition
FROM system.parts
WHERE database = currentDatabase()
  AND table = 'event_keys'
  AND active
  AND toDate(partition) + 7 <= {before:Date}
ORDER BY partition
