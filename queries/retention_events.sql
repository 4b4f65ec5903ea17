-- How many events of a month would go, by organization?
SELECT
    organization_id,
    countIf(ordinal = 0 AND revision = 0 AND entry = 'record') AS events
FROM usage_events
WHERE organization_id IN {organizations:Array(UUID)}
  AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
GROUP BY organization_id
ORDER BY organization_id
