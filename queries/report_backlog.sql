-- How far the reports are, of everybody: what OpenSlots would list if nothing rested, what no meter
-- counts, and what Stripe refused.
WITH
(
    s.meter != ''
    AND (
        has_open
        OR o.stripe_customer != ''
            AND s.window_start >= o.stripe_since
            AND s.window_start >= p.closed
            AND abs(own + carried) <= 999999999999999
            AND (
                s.window_start + INTERVAL 1 HOUR <= {sealed:DateTime('UTC')}
                OR arrayExists(d -> s.window_start >= d.1 AND s.window_start < d.2, p.drafts)
            )
            AND (
                told != own + carried
                OR {mode:UInt8} != 3
                    AND latest > 0
                    AND (latest_state < 20 OR latest_state >= 30)
            )
    )
) AS behind
SELECT
    countIf(behind) AS unsynced,
    minIf(s.window_start, behind) AS oldest,
    countIf(s.meter = '' AND (own != 0 OR events != 0)) AS unmapped,
    sumIf(own, s.meter = '') AS unmapped_units,
    countIf(s.meter != '' AND abs(own + carried) > 999999999999999) AS too_large,
    sum(conflicts) AS conflicting,
    countIf(latest_state IN (11, 12, 30)) AS rejected
FROM
(
    SELECT
        organization_id,
        meter,
        window_start,
        own,
        carried,
        events,
        latest,
        latest_state,
        conflicts,
        if({mode:UInt8} = 3, added_units, set_units) AS told,
        notEmpty(if({mode:UInt8} = 3, open, arrayFilter(r -> r.1 = latest, open))) AS has_open
    FROM reported_slots
    WHERE window_start >= {from:DateTime('UTC')}
) AS s
LEFT ANY JOIN
(
    SELECT
        organization_id,
        toString(stripe_periods.meter) AS meter,
        maxIf(period_end, finalized) AS closed,
        groupArrayIf(
            (period_start, period_end),
            NOT finalized AND period_end <= {now:DateTime64(6, 'UTC')}
        ) AS drafts
    FROM stripe_periods FINAL
    GROUP BY
        organization_id,
        meter
) AS p ON p.organization_id = s.organization_id AND p.meter = s.meter
LEFT ANY JOIN
(
    SELECT
        id,
        stripe_customer,
        stripe_since
    FROM organizations FINAL
) AS o ON o.id = s.organization_id
