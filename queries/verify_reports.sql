-- Is what Stripe is told fixed once, and is none of it missing?
-- Revisions of slots with hours in [from, to) that are fixed twice, or were sent without being
-- fixed, or of which Stripe had another number, missing revisions, names that two revisions share,
-- and carries and batches of intents whose numbers are taken twice, or missing. Once the database
-- was restored the revisions of a slot go on at the next whole thousand.
SELECT
    place,
    organization_id,
    meter,
    window_start,
    thing,
    number,
    problem,
    times
FROM
(
    SELECT
        'report_intents' AS place,
        organization_id,
        toString(meter) AS meter,
        window_start,
        'revision' AS thing,
        toUInt64(revision) AS number,
        multiIf(
            fixed = 0, 'was sent and is not fixed',
            fixed > 1, 'is fixed more than once',
            'had another number at Stripe under its key') AS problem,
        if(fixed != 1, fixed, conflicts) AS times
    FROM
    (
        SELECT
            organization_id,
            meter,
            window_start,
            revision,
            countIf(conflict < 0) AS fixed,
            countIf(conflict > 0) AS conflicts
        FROM
        (
            SELECT
                organization_id,
                meter,
                window_start,
                revision,
                -1 AS conflict
            FROM report_intents
            WHERE window_start >= {from:DateTime64(6, 'UTC')}
              AND window_start < {to:DateTime64(6, 'UTC')}
            UNION ALL
            SELECT
                organization_id,
                meter,
                window_start,
                revision,
                toInt16(verdict = 'conflict') AS conflict
            FROM report_outcomes
            WHERE window_start >= {from:DateTime64(6, 'UTC')}
              AND window_start < {to:DateTime64(6, 'UTC')}
        )
        GROUP BY
            organization_id,
            meter,
            window_start,
            revision
    )
    WHERE fixed != 1
       OR conflicts > 0
    UNION ALL
    SELECT
        'report_intents',
        organization_id,
        toString(meter),
        window_start,
        'revision',
        toUInt64(max(revision)),
        'is the newest, and some before it are missing',
        toUInt64(max(revision) - greatest(toInt64(block) * 1000 - 1, 0) - uniqExact(revision))
            AS missing
    FROM report_intents
    WHERE window_start >= {from:DateTime64(6, 'UTC')}
      AND window_start < {to:DateTime64(6, 'UTC')}
    GROUP BY
        organization_id,
        meter,
        window_start,
        intDiv(revision, 1000) AS block
    HAVING missing > 0
    UNION ALL
    SELECT
        'report_intents',
        min(organization_id),
        toString(min(meter)),
        min(window_start),
        'revision',
        toUInt64(min(revision)),
        concat('shares its name, ', identifier, ', with another'),
        uniqExact(organization_id, meter, window_start, revision) AS sharing
    FROM report_intents
    WHERE window_start >= {from:DateTime64(6, 'UTC')}
      AND window_start < {to:DateTime64(6, 'UTC')}
    GROUP BY identifier
    HAVING sharing > 1
    UNION ALL
    SELECT
        'report_carries',
        organization_id,
        toString(meter),
        from_window,
        'carry',
        toUInt64(max(number)),
        if(count() > uniqExact(number), 'is the newest, and some are there more than once',
            'is the newest, and some before it are missing'),
        toUInt64(abs(toInt64(count()) - toInt64(max(number)))) AS off
    FROM report_carries
    WHERE from_window >= {from:DateTime64(6, 'UTC')}
      AND from_window < {to:DateTime64(6, 'UTC')}
    GROUP BY
        organization_id,
        meter,
        from_window
    HAVING count() != uniqExact(number)
        OR off > 0
    UNION ALL
    SELECT
        'report_intents',
        toUUID('00000000-0000-0000-0000-000000000000'),
        '',
        toDateTime(0, 'UTC'),
        'batch',
        batch,
        'is there more than once',
        uniqExact(batch_id) AS tries
    FROM report_intents
    GROUP BY batch
    HAVING tries > 1
    UNION ALL
    SELECT
        'report_intents',
        toUUID('00000000-0000-0000-0000-000000000000'),
        '',
        toDateTime(0, 'UTC'),
        'batch',
        max(batch),
        'is the newest, and some before it are missing',
        toUInt64(max(batch) - uniqExact(batch)) AS missing
    FROM report_intents
    HAVING missing > 0
)
ORDER BY
    place,
    organization_id,
    meter,
    window_start,
    thing,
    number,
    problem
LIMIT {limit:UInt64}
