-- The slots that have something to be told, or a revision that may still be sent, and do not rest,
-- the oldest first. What each comes to, what was carried into it and what Stripe was told are added
-- up as numbers. Only of those that differ, periods, rests and the frozen intent are looked at.
SELECT
    w.organization_id AS organization_id,
    w.meter AS meter,
    w.window_start AS window_start,
    own,
    carried,
    latest,
    customer,
    subscription_item,
    told,
    failures,
    open_revision,
    toInt8(mode) AS way,
    total,
    send,
    identifier,
    created_at,
    writer,
    verdict,
    attempts,
    rotations,
    fromUnixTimestamp64Micro(open_at, 'UTC') AS last_at,
    sendable
FROM
(
    SELECT *
    FROM report_intents
    WHERE window_start >= {from:DateTime('UTC')} - INTERVAL 35 DAY
) AS i
RIGHT JOIN
(
    SELECT
        d.organization_id AS organization_id,
        d.meter AS meter,
        d.window_start AS window_start,
        own,
        carried,
        latest,
        told,
        failures,
        opened.1 AS open_revision,
        opened.3 AS verdict,
        opened.4 AS attempts,
        opened.5 AS rotations,
        opened.7 AS open_at,
        if(open_revision > 0, open_revision, latest) AS shown,
        window_start >= {from:DateTime('UTC')} AND window_start >= p.closed AS sendable,
        arrayExists(
            s -> window_start >= s.1 AND window_start < s.2, p.drafts
        ) AS drafted
    FROM
    (
        SELECT
            organization_id,
            meter,
            window_start,
            own,
            carried,
            latest,
            latest_state,
            if({mode:UInt8} = 3, added_units, set_units) AS told,
            failures,
            failed_at,
            if(
                {mode:UInt8} = 3,
                arraySort(open),
                arrayFilter(r -> r.1 = latest, open)
            )[1] AS opened
        FROM
        (
            SELECT
                organization_id,
                meter,
                window_start,
                own,
                carried,
                latest,
                latest_state,
                set_units,
                added_units,
                failures,
                failed_at,
                open
            FROM reported_slots
            WHERE window_start >= {from:DateTime('UTC')}
            UNION ALL
            SELECT
                organization_id,
                toString(report_slots.meter) AS meter,
                window_start,
                0 AS own,
                0 AS carried,
                latest,
                latest_state,
                set_units,
                added_units,
                0 AS failures,
                0 AS failed_at,
                open
            FROM report_slots
            WHERE window_start >= {from:DateTime('UTC')} - INTERVAL 35 DAY
              AND window_start < {from:DateTime('UTC')}
              AND notEmpty(open)
        )
        WHERE opened.1 > 0
           OR window_start >= {from:DateTime('UTC')}
               AND meter != ''
               AND (
                   told != own + carried
                   OR {mode:UInt8} != 3
                       AND latest > 0
                       AND (latest_state < 20 OR latest_state >= 30)
               )
    ) AS d
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
    ) AS p ON p.organization_id = d.organization_id AND p.meter = d.meter
    LEFT ANY JOIN
    (
        SELECT
            id,
            stripe_customer,
            stripe_since
        FROM organizations FINAL
    ) AS o ON o.id = d.organization_id
    WHERE if(
        open_revision > 0,
        multiIf(
            opened.2 = 3
                AND opened.6 < toUnixTimestamp64Micro({now:DateTime64(6, 'UTC')}) - 72000000000,
            greatest(opened.6 + 79200000000, open_at + 3600000000),
            open_at + 60000000 * [1, 2, 4, 8, 16, 32, 60][least(opened.4, 7)]
        ) <= toUnixTimestamp64Micro({now:DateTime64(6, 'UTC')}),
        sendable
            AND o.stripe_customer != ''
            AND window_start >= o.stripe_since
            AND abs(own + carried) <= 999999999999999
            AND (window_start + INTERVAL 1 HOUR <= {sealed:DateTime('UTC')} OR drafted)
            AND (
                failures = 0
                OR latest_state = 10
                OR failed_at + 3600000000 * [1, 2, 4, 8, 16, 24][least(failures, 6)]
                    <= toUnixTimestamp64Micro({now:DateTime64(6, 'UTC')})
            )
    )
    ORDER BY
        window_start,
        organization_id,
        meter
    LIMIT {limit:UInt64}
) AS w ON i.organization_id = w.organization_id
    AND i.meter = w.meter
    AND i.window_start = w.window_start
    AND i.revision = w.shown
ORDER BY
    w.window_start,
    w.organization_id,
    w.meter,
    created_at,
    batch_id
LIMIT 1 BY
    w.window_start,
    w.organization_id,
    w.meter
