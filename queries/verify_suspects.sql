-- Which events with a time in [from, to) do not count exactly once or not at all?
-- Their hashes, of those that leave part when divided by parts: the whole is asked in as many parts
-- as keep the memory of one small. A hash that two events share is looked at closer, no more.
SELECT cityHash64(organization_id, event_id) AS hash
FROM usage_events
WHERE ordinal = 0
  AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
  AND (empty({days:Array(Date)}) OR toDate(event_time, 'UTC') IN {days:Array(Date)})
  AND hash % {parts:UInt64} = {part:UInt64}
GROUP BY hash
HAVING sum(toInt8(entry)) NOT IN (0, 1)
LIMIT {limit:UInt64}
