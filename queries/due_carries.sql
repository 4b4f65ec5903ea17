-- What closed periods, and hours that Stripe takes no more, lack. Of a finalized period: what is
-- billable in it, less what was invoiced. Of an hour in none, not before the first that its meter
-- was told of: what is billable, less what Stripe has, but for hours of which a revision is open.
-- What was carried away is taken off. Hours of more than Stripe takes as one value, and those
-- before the organization's first, count as they were told. Of what is to be taken off more than
-- a percentage of what was invoiced or told is another question. Hours of months that the
-- organization keeps no longer, and periods that reach into one, have nothing left to be compared
-- with.
SELECT
    organization_id,
    meter,
    origin,
    of_period,
    toUInt32(max(carry) + 1) AS next,
    sum(amount) AS due
FROM
(
    SELECT
        x.organization_id AS organization_id,
        x.meter AS meter,
        arrayFirst(s -> x.happened >= s.1 AND x.happened < s.2, p.periods) AS period,
        period.2 > toDateTime(0, 'UTC') AS of_period,
        if(of_period, period.1, x.happened) AS origin,
        if(x.happened = origin, x.number, 0) AS carry,
        if(x.happened = origin, x.carried_at, toDateTime64(0, 6, 'UTC')) AS moved_at,
        NOT of_period AND x.pending AS held,
        if(of_period, x.invoiced, x.told) AS had,
        if(
            x.happened < o.stripe_since OR abs(x.want) > 999999999999999, x.told, x.want
        ) - if(of_period, x.invoiced, x.told) - x.moved AS amount
    FROM
    (
        SELECT
            organization_id,
            meter,
            window_start AS happened,
            own + carried AS want,
            if({mode:UInt8} = 3, added_units, set_units) AS told,
            0 AS moved,
            0 AS invoiced,
            0 AS number,
            toDateTime64(0, 6, 'UTC') AS carried_at,
            notEmpty(
                if({mode:UInt8} = 3, open, arrayFilter(r -> r.1 = latest, open))
            ) AS pending
        FROM reported_slots
        WHERE (organization_id = {organization:UUID}
                   OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
          AND window_start >= {from:DateTime('UTC')}
          AND meter != ''
        UNION ALL
        SELECT
            organization_id,
            toString(report_carries.meter) AS meter,
            from_window AS happened,
            0 AS want,
            0 AS told,
            units AS moved,
            0 AS invoiced,
            report_carries.number AS number,
            created_at AS carried_at,
            0 AS pending
        FROM report_carries
        WHERE (organization_id = {organization:UUID}
                   OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
          AND from_window >= {from:DateTime('UTC')}
        UNION ALL
        SELECT
            organization_id,
            toString(stripe_periods.meter) AS meter,
            period_start AS happened,
            0 AS want,
            0 AS told,
            0 AS moved,
            invoiced_units AS invoiced,
            0 AS number,
            toDateTime64(0, 6, 'UTC') AS carried_at,
            0 AS pending
        FROM stripe_periods FINAL
        WHERE (organization_id = {organization:UUID}
                   OR {organization:UUID} = toUUID('00000000-0000-0000-0000-000000000000'))
          AND finalized
          AND period_start >= {from:DateTime('UTC')}
    ) AS x
    LEFT ANY JOIN
    (
        SELECT
            organization_id,
            toString(stripe_periods.meter) AS meter,
            max(period_end) AS closed,
            groupArray((period_start, period_end)) AS periods
        FROM stripe_periods FINAL
        WHERE finalized
        GROUP BY
            organization_id,
            meter
    ) AS p ON p.organization_id = x.organization_id AND p.meter = x.meter
    LEFT ANY JOIN
    (
        SELECT
            organization_id,
            toString(report_intents.meter) AS meter,
            min(window_start) AS first_told
        FROM report_intents
        GROUP BY
            organization_id,
            report_intents.meter
    ) AS f ON f.organization_id = x.organization_id AND f.meter = x.meter
    LEFT ANY JOIN
    (
        SELECT
            id,
            stripe_since
        FROM organizations FINAL
    ) AS o ON o.id = x.organization_id
    LEFT ANY JOIN
    (
        SELECT
            organization_id,
            groupArray(toDateTime(month, 'UTC')) AS months
        FROM retired_months FINAL
        GROUP BY organization_id
    ) AS gone ON gone.organization_id = x.organization_id
    WHERE NOT arrayExists(
        month -> month < if(of_period, period.2, x.happened + INTERVAL 1 HOUR)
            AND month + INTERVAL 1 MONTH > if(of_period, period.1, x.happened),
        gone.months
    )
      AND if(
        of_period,
        period.2 > o.stripe_since,
        x.happened >= o.stripe_since
            AND x.happened < greatest({oldest:DateTime('UTC')}, p.closed)
            AND f.first_told > toDateTime(0, 'UTC')
            AND x.happened >= f.first_told
    )
)
GROUP BY
    organization_id,
    meter,
    origin,
    of_period
HAVING due != 0
   AND NOT max(held)
   AND (
       {credit:UInt64} = 0
       OR (due < 0 AND toInt128(-due) * 100 > toInt128(sum(had)) * {credit:UInt64})
           = {withheld:Bool}
   )
   AND max(moved_at) <= {carried:DateTime64(6, 'UTC')}
   AND origin >= {from:DateTime('UTC')}
ORDER BY
    origin,
    organization_id,
    meter
LIMIT {limit:UInt64}
