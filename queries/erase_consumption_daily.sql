-- Moves what consumption_daily has of the person of an erasure to the replacement, in days [from,
-- to): the same rows again, taken from the one and given to the other. Every sum but the user's
-- stays, whatever comes meanwhile and however often it is done: what is left, or was moved twice,
-- the next move makes good. The view behind it moves the month as well.
INSERT INTO consumption_daily
SELECT
    organization_id,
    agent_id,
    day,
    if(sign < 0, person, replacement) AS user_id,
    usage_type,
    dimension_id,
    sign * moved_quantity AS quantity,
    sign * moved_provider_cost AS provider_cost,
    sign * moved_billed_cost AS billed_cost,
    sign * moved_events AS events,
    sign * moved_measurements AS measurements,
    sign * moved_unpriced AS unpriced
FROM
(
    SELECT
        organization_id,
        agent_id,
        day,
        user_id AS person,
        (
            SELECT any(replacement_id)
            FROM erasures FINAL
            WHERE id = {erasure:UUID}
        ) AS replacement,
        usage_type,
        dimension_id,
        sum(consumption_daily.quantity) AS moved_quantity,
        sum(consumption_daily.provider_cost) AS moved_provider_cost,
        sum(consumption_daily.billed_cost) AS moved_billed_cost,
        sum(consumption_daily.events) AS moved_events,
        sum(consumption_daily.measurements) AS moved_measurements,
        sum(consumption_daily.unpriced) AS moved_unpriced
    FROM consumption_daily
    WHERE organization_id = {organization:UUID}
      AND day >= {from:Date}
      AND day < {to:Date}
      AND user_id IN
      (
          SELECT user_id
          FROM erasures FINAL
          WHERE id = {erasure:UUID}
            AND user_id != toUUID('00000000-0000-0000-0000-000000000000')
      )
    GROUP BY
        organization_id,
        agent_id,
        day,
        person,
        usage_type,
        dimension_id
    HAVING moved_quantity != 0
        OR moved_provider_cost != 0
        OR moved_billed_cost != 0
        OR moved_events != 0
        OR moved_measurements != 0
        OR moved_unpriced != 0
)
ARRAY JOIN [toInt8(-1), toInt8(1)] AS sign
