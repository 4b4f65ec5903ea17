-- What an agent used in [from, to) by usage type, log insights apart: the whole quarter hours
-- [slot_from, slot_to) from the rollup, [from, head_to) and [tail_from, to) from the ledger.
SELECT
    usage_type,
    log_insights,
    sum(used) AS quantity
FROM
(
    SELECT
        usage_type,
        service = {log_insights:String} AS log_insights,
        sum(quantity) AS used,
        sum(measurements) AS entries
    FROM agent_usage_15m
    WHERE organization_id = {organization:UUID}
      AND agent_id = {agent:UUID}
      AND slot >= {slot_from:DateTime('UTC')}
      AND slot < {slot_to:DateTime('UTC')}
    GROUP BY
        usage_type,
        log_insights
    UNION ALL
    SELECT
        usage_type,
        service = {log_insights:String} AS log_insights,
        sum(quantity) AS used,
        sum(toInt64(entry)) AS entries
    FROM usage_events
    WHERE organization_id = {organization:UUID}
      AND agent_id = {agent:UUID}
      AND (
          event_time >= {from:DateTime64(6, 'UTC')}
          AND event_time < {head_to:DateTime64(6, 'UTC')}
          OR event_time >= {tail_from:DateTime64(6, 'UTC')}
          AND event_time < {to:DateTime64(6, 'UTC')}
      )
    GROUP BY
        usage_type,
        log_insights
)
GROUP BY
    usage_type,
    log_insights
HAVING sum(entries) > 0
ORDER BY
    usage_type,
    log_insights
