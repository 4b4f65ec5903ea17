-- What does consumption_monthly lack of consumption_daily in months [from, to), and what has it too
-- much? Of some organizations, or of all if none is named, signed, by its whole key. The days are
-- few rows, and are mended first.
INSERT INTO rebuild_consumption_monthly
SELECT
    organization_id,
    agent_id,
    month,
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
        toStartOfMonth(day) AS month,
        user_id,
        usage_type,
        dimension_id,
        sum(consumption_daily.quantity) AS quantity,
        sum(consumption_daily.provider_cost) AS provider_cost,
        sum(consumption_daily.billed_cost) AS billed_cost,
        sum(consumption_daily.events) AS events,
        sum(consumption_daily.measurements) AS measurements,
        sum(consumption_daily.unpriced) AS unpriced
    FROM consumption_daily
    WHERE day >= {from:Date}
      AND day < {to:Date}
      AND (empty({organizations:Array(UUID)})
        OR organization_id IN {organizations:Array(UUID)})
    GROUP BY
        organization_id,
        agent_id,
        month,
        user_id,
        usage_type,
        dimension_id
    UNION ALL
    SELECT
        organization_id,
        agent_id,
        month,
        user_id,
        usage_type,
        dimension_id,
        -consumption_monthly.quantity AS quantity,
        -consumption_monthly.provider_cost AS provider_cost,
        -consumption_monthly.billed_cost AS billed_cost,
        -consumption_monthly.events AS events,
        -consumption_monthly.measurements AS measurements,
        -consumption_monthly.unpriced AS unpriced
    FROM consumption_monthly
    WHERE month >= {from:Date}
      AND month < {to:Date}
      AND (empty({organizations:Array(UUID)})
        OR organization_id IN {organizations:Array(UUID)})
) AS made
GROUP BY
    organization_id,
    agent_id,
    month,
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
