-- What does consumption_daily lack of the ledger in days [from, to), and what has it too much?
-- Of some organizations, or of all if none is named, signed, by its whole key.
INSERT INTO rebuild_consumption_daily
SELECT
    organization_id,
    agent_id,
    day,
    user_id,
    usage_type,
    dimension_id,
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
        toDate(event_time, 'UTC') AS day,
        user_id,
        usage_type,
        dimension_id,
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
        day,
        user_id,
        usage_type,
        dimension_id
    UNION ALL
    SELECT
        organization_id,
        agent_id,
        day,
        user_id,
        usage_type,
        dimension_id,
        -consumption_daily.quantity AS quantity,
        -consumption_daily.provider_cost AS provider_cost,
        -consumption_daily.billed_cost AS billed_cost,
        -consumption_daily.events AS events,
        -consumption_daily.measurements AS measurements,
        -consumption_daily.unpriced AS unpriced
    FROM consumption_daily
    WHERE day >= {from:Date}
      AND day < {to:Date}
      AND (empty({organizations:Array(UUID)})
        OR organization_id IN {organizations:Array(UUID)})
) AS made
GROUP BY
    organization_id,
    agent_id,
    day,
    user_id,
    usage_type,
    dimension_id
HAVING
    quantity != 0
    OR provider_cost != 0
    OR billed_cost != 0
    OR events != 0
    OR measurements != 0
    OR unpriced != 0
