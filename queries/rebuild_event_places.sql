-- Writes the places that event_places lacks of the ledger's events in days [from, to).
INSERT INTO event_places
SELECT
    toUInt32(cityHash64(organization_id, event_id)) AS key,
    event_time,
    agent_id
FROM usage_events
WHERE ordinal = 0
  AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
  AND (toUInt32(cityHash64(organization_id, event_id)), event_time, agent_id) NOT IN
(
    SELECT
        key,
        event_time,
        agent_id
    FROM event_places
    WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
      AND event_time < toDateTime64({to:Date}, 6, 'UTC')
)
