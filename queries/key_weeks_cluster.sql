-- key_weeks on a cluster: of which weeks that ended before a day has any shard keys?
SELECT DISTINCT partition
FROM cluster({cluster:String}, system.parts)
WHERE database = {database:String}
  AND table = 'event_keys_local'
  AND active
  AND toDate(partition) + 7 <= {before:Date}
ORDER BY partition
