-- Does dimensions describe every dimension of consumption_daily in days [from, to)?
-- Dimension ids that are not described, or in two ways, and from which day on. One whose rows have
-- all been taken back is not in use.
SELECT
    organization_id,
    dimension_id,
    min(first_day) AS period,
    sum(descriptions) AS described
FROM
(
    SELECT
        organization_id,
        dimension_id,
        min(day) AS first_day,
        toUInt64(0) AS descriptions
    FROM consumption_daily
    WHERE day >= {from:Date}
      AND day < {to:Date}
    GROUP BY
        organization_id,
        dimension_id
    HAVING sum(measurements) != 0
        OR sum(quantity) != 0
    UNION ALL
    SELECT
        organization_id,
        dimension_id,
        toDate('2149-06-06') AS first_day,
        uniqExact(
            service, provider, provider_endpoint, provider_key, model, chargeable, purpose)
            AS descriptions
    FROM dimensions
    GROUP BY
        organization_id,
        dimension_id
)
GROUP BY
    organization_id,
    dimension_id
HAVING period < toDate('2149-06-06')
   AND described != 1
ORDER BY
    organization_id,
    dimension_id
LIMIT {limit:UInt64}
