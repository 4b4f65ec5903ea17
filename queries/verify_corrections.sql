-- What is wrong with the journal of corrections, or with what it did to the ledger?
-- Numbers that are there twice, missing or not applied, entries of the ledger that no correction
-- explains or more than it names, revisions of events in [from, to) with two records or two
-- reversals, or that count though a later one does.
SELECT
    organization_id,
    problem,
    number,
    event_id,
    revision,
    times
FROM
(
    SELECT
        organization_id,
        multiIf(
            made = 0, 'is applied and not in the journal',
            made > 1, 'is in the journal more than once',
            ledger > named, 'has more events in the ledger than in the journal',
            '') AS problem,
        number,
        toUUID('00000000-0000-0000-0000-000000000000') AS event_id,
        toUInt32(0) AS revision,
        if(made = 1, ledger, made) AS times
    FROM
    (
        SELECT
            organization_id,
            number,
            count() AS made,
            any(events) AS named
        FROM corrections
        GROUP BY
            organization_id,
            number
    ) AS journal
    FULL JOIN
    (
        SELECT
            organization_id,
            sequence AS number,
            uniqExact(event_id) AS ledger
        FROM usage_events
        WHERE (entry = 'reversal' OR revision > 0)
          AND event_time >= {from:DateTime64(6, 'UTC')}
          AND event_time < {to:DateTime64(6, 'UTC')}
        GROUP BY
            organization_id,
            number
    ) AS done USING (organization_id, number)
    WHERE problem != ''
    UNION ALL
    SELECT
        organization_id,
        if(numbers != newest, 'is the newest, and numbers before it are missing',
            'is not applied') AS problem,
        newest AS number,
        toUUID('00000000-0000-0000-0000-000000000000') AS event_id,
        toUInt32(0) AS revision,
        toUInt64(abs(toInt64(newest) - toInt64(if(numbers != newest, numbers, applied)))) AS times
    FROM
    (
        SELECT
            organization_id,
            max(number) AS newest,
            uniqExact(number) AS numbers
        FROM corrections
        GROUP BY organization_id
    ) AS journal
    LEFT JOIN
    (
        SELECT
            organization_id,
            max(number) AS applied
        FROM corrections_applied
        GROUP BY organization_id
    ) AS marks USING (organization_id)
    WHERE numbers != newest
       OR newest != applied
    UNION ALL
    SELECT
        organization_id,
        multiIf(
            records != 1, 'is recorded more than once, or reversed and never recorded',
            reversals > 1, 'is reversed more than once',
            'counts beside a later revision') AS problem,
        toUInt64(0) AS number,
        event_id,
        revision,
        if(records != 1, records, reversals) AS times
    FROM
    (
        SELECT
            organization_id,
            event_id,
            revision,
            countIf(entry = 'record' AND ordinal = 0) AS records,
            countIf(entry = 'reversal' AND ordinal = 0) AS reversals,
            max(revision) OVER (PARTITION BY organization_id, event_id) AS newest
        FROM usage_events
        WHERE (organization_id, event_id) IN
        (
            SELECT
                organization_id,
                event_id
            FROM usage_events
            WHERE (entry = 'reversal' OR revision > 0)
              AND event_time >= {from:DateTime64(6, 'UTC')}
              AND event_time < {to:DateTime64(6, 'UTC')}
        )
          AND event_time >= {from:DateTime64(6, 'UTC')}
          AND event_time < {to:DateTime64(6, 'UTC')}
        GROUP BY
            organization_id,
            event_id,
            revision
    )
    WHERE records != 1
       OR reversals > 1
       OR reversals = 0 AND revision < newest
)
ORDER BY
    organization_id,
    number,
    event_id,
    revision
LIMIT {limit:UInt64}
