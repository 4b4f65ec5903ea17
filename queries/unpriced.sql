-- What was used in the hours of [from, to) without a rate to price it: by organization (one, or all
-- when organization is the zero id), model and usage type, the most measurements first. Hours are
-- summed before they are looked at: what a correction priced is not unpriced any more.
SELECT
    organization_id,
    model,
    usage_type,
    sum(hourly_unpriced) AS measurements,
    sum(hourly_quantity) AS quantity,
    min(hour) AS first_hour,
    max(hour) AS last_hour
FROM
(
    SELECT
        organization_id,
        hour,
        model,
        usage_type,
        sum(unpriced) AS hourly_unpriced,
        sum(quantity) AS hourly_quantity
    FROM billable_hourly
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND hour >= {from:DateTime('UTC')}
      AND hour < {to:DateTime('UTC')}
    GROUP BY
        organization_id,
        hour,
        model,
        usage_type
    HAVING hourly_unpriced > 0
)
GROUP BY
    organization_id,
    model,
    usage_type
ORDER BY
    measurements DESC,
    organization_id,
    model,
    usage_type
LIMIT {limit:UInt64}
