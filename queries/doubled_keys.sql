-- Which events did two nodes accept, of a slice of all that have a key?
-- A slice bounds the memory: every slice reads the whole column.
SELECT
    organization_id,
    event_id
FROM event_keys
WHERE cityHash64(event_id) % {slices:UInt64} = {slice:UInt64}
GROUP BY
    organization_id,
    event_id
HAVING count() > 1
