-- Which of the suspect events, and of those corrected with a time in [from, to), do not count as
-- they may? A revision counts once or not at all, and at most one revision of an event counts.
-- An event that was sent again after its key was forgotten, window seconds, counts again.
SELECT
    organization_id,
    event_id,
    toDate(min(first_time), 'UTC') AS day,
    toInt64(sumIf(greatest(net, 0), ordinal = 0)) AS live,
    min(net) AS least,
    max(net) AS most,
    toInt64(1 + arrayCount(
        gap -> gap > {window:UInt64} * 1000000,
        arrayDifference(arraySort(groupArrayArray(accepted))))) AS allowed
FROM
(
    SELECT
        organization_id,
        event_id,
        revision,
        ordinal,
        min(event_time) AS first_time,
        sum(toInt64(entry)) AS net,
        groupArrayIf(
            toUnixTimestamp64Micro(ingest_time),
            revision = 0 AND ordinal = 0 AND entry = 'record') AS accepted
    FROM usage_events
    WHERE cityHash64(organization_id, event_id) IN
    (
        SELECT toUInt64(arrayJoin({suspects:Array(String)}))
        UNION ALL
        SELECT cityHash64(organization_id, event_id)
        FROM usage_events
        WHERE (entry = 'reversal' OR revision > 0)
          AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
          AND event_time < toDateTime64({to:Date}, 6, 'UTC')
    )
    GROUP BY
        organization_id,
        event_id,
        revision,
        ordinal
)
GROUP BY
    organization_id,
    event_id
HAVING least < 0
    OR most > allowed
    OR live > allowed
ORDER BY
    day,
    organization_id,
    event_id
LIMIT {limit:UInt64}
