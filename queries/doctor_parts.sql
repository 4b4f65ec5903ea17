-- Which partitions have so many parts that merges do not keep up?
SELECT
    table,
    partition,
    count() AS parts
FROM system.parts
WHERE database = currentDatabase()
  AND active
GROUP BY
    table,
    partition
HAVING parts > 300
ORDER BY parts DESC
LIMIT 10
