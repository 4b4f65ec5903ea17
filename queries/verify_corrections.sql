-- What is wrong with the journal of corrections, or with what it did to the ledger?
-- Numbers that are there twice, missing or not applied, and entries of the ledger with a time in
-- [from, to) that no correction explains, or more of them than it names. An entry of a correction
-- has the node of the organization's corrections, a UUID of version 5, that of a log one of
-- version 4: what takes back a copy that a second node accepted is of the copy's log.
SELECT
    organization_id,
    problem,
    number,
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
          AND bitAnd(bitShiftRight(toUInt128(node), 76), 15) = 5
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
)
ORDER BY
    organization_id,
    number
LIMIT {limit:UInt64}
