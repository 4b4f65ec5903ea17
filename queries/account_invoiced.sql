-- How many organizations have a period that an account of Stripe's invoiced, or units that were
-- carried, since their stripe.since: another account knows of neither.
SELECT uniqExact(organization_id) AS organizations
FROM
(
    SELECT
        organization_id,
        period_end - INTERVAL 1 SECOND AS until
    FROM stripe_periods FINAL
    WHERE finalized
    UNION ALL
    SELECT
        organization_id,
        to_window AS until
    FROM report_carries
) AS i
LEFT ANY JOIN
(
    SELECT
        id,
        stripe_since
    FROM organizations FINAL
) AS o ON o.id = i.organization_id
WHERE until >= stripe_since
