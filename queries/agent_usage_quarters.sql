-- What an agent used in the whole quarter hours [slot_from, slot_to) by usage type, log insights
-- apart: what agent_usage asks where the range has no edges, without looking for them.
SELECT
    usage_type,
    service = {log_insights:String} AS log_insights,
    sum(agent_usage_15m.quantity) AS quantity
FROM agent_usage_15m
WHERE organization_id = {organization:UUID}
  AND agent_id = {agent:UUID}
  AND slot >= {slot_from:DateTime('UTC')}
  AND slot < {slot_to:DateTime('UTC')}
GROUP BY
    usage_type,
    log_insights
HAVING sum(measurements) > 0
ORDER BY
    usage_type,
    log_insights
