-- Slots with usage, revisions or carries, and what Stripe was told of each, of one organization or,
-- when it is the zero id, of all.
SELECT
    s.organization_id AS organization_id,
    s.meter AS meter,
    s.window_start AS window_start,
    toInt8(m.unit) AS meter_unit,
    own,
    carried,
    carried_out,
    if(latest_mode = 3, added_units, set_units) AS told,
    unpriced,
    latest,
    latest_mode,
    newest.1.total AS total,
    newest.1.send AS send,
    newest.1.identifier AS identifier,
    newest.1.customer AS customer,
    newest.1.subscription_item AS subscription_item,
    newest.2 AS created_at,
    newest.1.writer AS writer,
    latest_state AS verdict,
    newest.3 AS attempts,
    newest.4 AS rotations,
    newest.5 AS last_at,
    failures,
    t.said AS said,
    s.window_start < p.closed AS over,
    s.meter != '' AND o.stripe_customer != '' AS mapped
FROM
(
    SELECT
        organization_id,
        meter,
        window_start,
        own,
        carried,
        carried_out,
        unpriced,
        latest,
        latest_mode,
        latest_state,
        set_units,
        added_units,
        failures
    FROM reported_slots
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND window_start >= {from:DateTime('UTC')}
      AND window_start < {to:DateTime('UTC')}
      AND (events != 0 OR own != 0 OR carried != 0 OR carried_out != 0 OR latest > 0)
    ORDER BY
        window_start,
        organization_id,
        meter
    LIMIT {limit:UInt64}
) AS s
LEFT ANY JOIN
(
    SELECT
        organization_id,
        toString(report_revisions.meter) AS meter,
        window_start,
        argMax((frozen, created_at, attempts, rotations, last_at), revision) AS newest
    FROM report_revisions
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND window_start >= {from:DateTime('UTC')}
      AND window_start < {to:DateTime('UTC')}
    GROUP BY
        organization_id,
        meter,
        window_start
) AS r USING (organization_id, meter, window_start)
LEFT ANY JOIN
(
    SELECT
        organization_id,
        toString(report_outcomes.meter) AS meter,
        window_start,
        argMax(detail, (revision, at)) AS said,
        max(revision) AS newest_said
    FROM report_outcomes
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND window_start >= {from:DateTime('UTC')}
      AND window_start < {to:DateTime('UTC')}
    GROUP BY
        organization_id,
        meter,
        window_start
) AS t ON t.organization_id = s.organization_id
    AND t.meter = s.meter
    AND t.window_start = s.window_start
    AND t.newest_said = s.latest
LEFT ANY JOIN
(
    SELECT
        organization_id,
        toString(stripe_periods.meter) AS meter,
        max(period_end) AS closed
    FROM stripe_periods FINAL
    WHERE (organization_id = {organization:UUID}
           OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
      AND finalized
    GROUP BY
        organization_id,
        meter
) AS p ON p.organization_id = s.organization_id AND p.meter = s.meter
LEFT ANY JOIN
(
    SELECT
        id,
        stripe_customer
    FROM organizations FINAL
) AS o ON o.id = s.organization_id
LEFT ANY JOIN
(
    SELECT
        name,
        unit
    FROM meters FINAL
    WHERE NOT retired
) AS m ON m.name = s.meter
ORDER BY
    s.window_start,
    s.organization_id,
    s.meter
