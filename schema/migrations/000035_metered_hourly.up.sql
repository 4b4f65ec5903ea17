-- billable_hourly with the meter each row counts for: the first of its organization's meters whose
-- usage types and models it has, then the one that takes the rest; empty when there is none, or no
-- customer. A view: a change of the catalog holds for every hour that can still be reported.
-- What a retired organization used before counts as it did. Which meter is decided once for each
-- (organization, usage type, model), of which there are few.
CREATE VIEW IF NOT EXISTS metered_hourly AS
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
        arrayFirst(
            c -> (empty(c.3) OR has(c.3, k.usage_type))
                AND (
                    empty(c.4) OR arrayExists(
                        p -> if(
                            endsWith(p, '*'),
                            startsWith(k.model, substring(p, 1, length(p) - 1)),
                            k.model = p
                        ),
                        c.4
                    )
                ),
            o.candidates
        ) AS chosen,
        chosen.1 AS meter,
        if(empty(chosen.2), 'micro_usd', chosen.2) AS unit
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
            id,
            stripe_since AS since,
            arrayMap(
                name -> (
                    name,
                    arrayElement(m.units, indexOf(m.names, name)),
                    arrayElement(m.usage_types, indexOf(m.names, name)),
                    arrayElement(m.models, indexOf(m.names, name))
                ),
                arrayFilter(
                    name -> notEmpty(name) AND notEmpty(stripe_customer),
                    arrayPushBack(stripe_meters, stripe_meter)
                )
            ) AS candidates
        FROM organizations FINAL
        CROSS JOIN
        (
            SELECT
                groupArray(name) AS names,
                groupArray(unit) AS units,
                groupArray(usage_types) AS usage_types,
                groupArray(models) AS models
            FROM
            (
                SELECT name, toString(unit) AS unit, usage_types, models
                FROM meters FINAL
                WHERE NOT retired
            )
        ) AS m
    ) AS o ON o.id = k.organization_id
) AS a ON a.organization_id = u.organization_id AND a.usage_type = u.usage_type AND a.model = u.model
WHERE u.chargeable
  AND u.hour >= a.since
