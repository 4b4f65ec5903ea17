-- When an agent's first event happened.
SELECT
    event_time
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND agent_id = {agent:UUID}
ORDER BY
    organization_id,
    agent_id,
    event_time
LIMIT 1
