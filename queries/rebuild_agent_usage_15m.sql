-- What does agent_usage_15m lack of the ledger in days [from, to), and what has it too much?
-- Of some organizations, or of all if none is named, signed, by its whole key.
INSERT INTO rebuild_agent_usage_15m
SELECT
    organization_id,
    agent_id,
    slot,
    usage_type,
    service,
    model,
    chargeable,
    sum(made.quantity) AS quantity,
    sum(made.provider_cost) AS provider_cost,
    sum(made.billed_cost) AS billed_cost,
    sum(made.events) AS events,
    sum(made.measurements) AS measurements,
    sum(made.unpriced) AS unpriced
FROM
(
    SELECT
        organization_id,
        agent_id,
        toStartOfFifteenMinutes(toDateTime(event_time, 'UTC')) AS slot,
        usage_type,
        service,
        model,
        chargeable,
        sum(usage_events.quantity) AS quantity,
        sum(usage_events.provider_cost) AS provider_cost,
        sum(usage_events.billed_cost) AS billed_cost,
        sum(if(ordinal = 0, toInt64(entry), 0)) AS events,
        sum(toInt64(entry)) AS measurements,
        sum(if(pricing = 'unpriced', toInt64(entry), 0)) AS unpriced
    FROM usage_events
    WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
      AND event_time < toDateTime64({to:Date}, 6, 'UTC')
      AND (empty({organizations:Array(UUID)})
        OR organization_id IN {organizations:Array(UUID)})
    GROUP BY
        organization_id,
        agent_id,
        slot,
        usage_type,
        service,
        model,
        chargeable
    UNION ALL
    SELECT
        organization_id,
        agent_id,
        slot,
        usage_type,
        service,
        model,
        chargeable,
        -agent_usage_15m.quantity AS quantity,
        -agent_usage_15m.provider_cost AS provider_cost,
        -agent_usage_15m.billed_cost AS billed_cost,
        -agent_usage_15m.events AS events,
        -agent_usage_15m.measurements AS measurements,
        -agent_usage_15m.unpriced AS unpriced
    FROM agent_usage_15m
    WHERE slot >= toDateTime({from:Date}, 'UTC')
      AND slot < toDateTime({to:Date}, 'UTC')
      AND (empty({organizations:Array(UUID)})
        OR organization_id IN {organizations:Array(UUID)})
) AS made
GROUP BY
    organization_id,
    agent_id,
    slot,
    usage_type,
    service,
    model,
    chargeable
HAVING
    quantity != 0
    OR provider_cost != 0
    OR billed_cost != 0
    OR events != 0
    OR measurements != 0
    OR unpriced != 0
