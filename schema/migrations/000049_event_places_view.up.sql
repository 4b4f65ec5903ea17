-- Feeds event_places from the ledger: the first measurement of every entry, corrections included,
-- because one may move an event to another agent.
CREATE MATERIALIZED VIEW IF NOT EXISTS event_places_view TO event_places AS
SELECT
    toUInt32(cityHash64(organization_id, event_id)) AS key,
    event_time,
    agent_id
FROM usage_events
WHERE ordinal = 0
