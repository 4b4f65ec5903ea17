-- By how many units Stripe's sums differed, either way, in the newest comparison of each meter of
-- each organization since a moment, and when the newest of all was made.
SELECT
    sum(apart) AS units,
    max(made_at) AS newest
FROM
(
    SELECT
        organization_id,
        meter,
        stripe_comparisons.at AS made_at,
        sumIf(abs(stripe_units - reported_units), NOT part) AS apart
    FROM stripe_comparisons
    WHERE stripe_comparisons.at >= {from:DateTime64(6, 'UTC')}
    GROUP BY
        organization_id,
        meter,
        made_at
    ORDER BY made_at DESC
    LIMIT 1 BY
        organization_id,
        meter
)
