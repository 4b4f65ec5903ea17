-- unfinished_mutations on a cluster: is a table being rewritten on any replica of any shard? A
-- replica that does not answer makes it an error: whether it is done there cannot be known.
SELECT
    count() AS unfinished,
    max(latest_fail_reason) AS why
FROM clusterAllReplicas({cluster:String}, system.mutations)
WHERE database = {database:String}
  AND replaceRegexpOne(table, '_local$', '') IN {tables:Array(String)}
  AND NOT is_done
  AND NOT is_killed
