-- As migration 35 made it, but for one thing: what a retired organization used is counted by its
-- meters as they were, also by those that were retired since. One that was not there any more counted
-- everything, in micro-USD: hours that Stripe was told in seconds were told again in micro-USD.
CREATE OR REPLACE VIEW metered_hourly AS
SELECT
    u.organization_id AS organization_id,
    u.hour AS hour,
    u.usage_type AS usage_type,
    u.model AS model,
    a.meter AS meter,
    a.unit AS unit,
    u.quantity AS quantity,
    u.provider_cost AS provider_cost,
    u.billed_cost AS billed_cost,
    u.events AS events,
    u.measurements AS measurements,
    u.unpriced AS unpriced
FROM billable_hourly AS u
LEFT ANY JOIN
(
    SELECT
        k.organization_id AS organization_id,
        k.usage_type AS usage_type,
        k.model AS model,
        o.since AS since,
        arrayFirst(c -> NOT c.2 OR has(w.counting, c.1), o.candidates) AS chosen,
        chosen.1 AS meter,
        if(empty(chosen.3), 'micro_usd', chosen.3) AS unit
    FROM
    (
        SELECT DISTINCT
            organization_id,
            toString(usage_type) AS usage_type,
            toString(model) AS model
        FROM billable_hourly
        WHERE chargeable
    ) AS k
    LEFT ANY JOIN
    (
        SELECT
            t.usage_type AS usage_type,
            t.model AS model,
            groupArray(m.name) AS counting
        FROM
        (
            SELECT DISTINCT
                toString(usage_type) AS usage_type,
                toString(model) AS model
            FROM billable_hourly
            WHERE chargeable
        ) AS t
        CROSS JOIN
        (
            SELECT name, usage_types, models
            FROM meters FINAL
        ) AS m
        WHERE (empty(m.usage_types) OR has(m.usage_types, t.usage_type))
          AND (
              empty(m.models) OR arrayExists(
                  p -> if(
                      endsWith(p, '*'),
                      startsWith(t.model, substring(p, 1, length(p) - 1)),
                      t.model = p
                  ),
                  m.models
              )
          )
        GROUP BY
            t.usage_type,
            t.model
    ) AS w ON w.usage_type = k.usage_type AND w.model = k.model
    LEFT ANY JOIN
    (
        WITH
            (
                SELECT groupArray((name, toString(unit)))
                FROM meters FINAL
                WHERE NOT retired
            ) AS defined,
            (
                SELECT groupArray((name, toString(unit)))
                FROM meters FINAL
            ) AS remembered
        SELECT
            id,
            stripe_since AS since,
            if(retired, remembered, defined) AS mine,
            arrayMap(
                name -> (
                    name,
                    has(mine.1, name),
                    arrayElement(mine.2, indexOf(mine.1, name))
                ),
                arrayFilter(
                    name -> notEmpty(name) AND notEmpty(stripe_customer),
                    arrayPushBack(stripe_meters, stripe_meter)
                )
            ) AS candidates
        FROM organizations FINAL
    ) AS o ON o.id = k.organization_id
) AS a ON a.organization_id = u.organization_id AND a.usage_type = u.usage_type AND a.model = u.model
WHERE u.chargeable
  AND u.hour >= a.since
