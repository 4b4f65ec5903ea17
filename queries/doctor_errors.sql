-- Which errors of the last day say that the server has too little of something, or a damaged disk?
SELECT
    name,
    sum(value) AS times,
    toDateTime(max(last_error_time), 'UTC') AS last
FROM system.errors
WHERE name IN ('TOO_MANY_PARTS', 'MEMORY_LIMIT_EXCEEDED', 'CANNOT_ALLOCATE_MEMORY',
      'NOT_ENOUGH_SPACE', 'TOO_MANY_SIMULTANEOUS_QUERIES', 'TABLE_IS_READ_ONLY',
      'CHECKSUM_DOESNT_MATCH', 'CORRUPTED_DATA')
  AND last_error_time > now() - INTERVAL 1 DAY
GROUP BY name
ORDER BY name
