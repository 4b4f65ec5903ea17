-- Does event_places have a place for every event in days [from, to)? By day, how many it lacks, of
-- the keys that leave part when divided by parts: as few as keep the memory of one question small.
SELECT
    toDate(event_time, 'UTC') AS day,
    count() AS lacking
FROM
(
    SELECT
        key,
        event_time,
        agent_id
    FROM
    (
        SELECT
            toUInt32(cityHash64(organization_id, event_id)) AS key,
            event_time,
            agent_id,
            0 AS placed
        FROM usage_events
        WHERE ordinal = 0
          AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
          AND event_time < toDateTime64({to:Date}, 6, 'UTC')
          AND key % {parts:UInt64} = {part:UInt64}
        UNION ALL
        SELECT
            key,
            event_time,
            agent_id,
            1 AS placed
        FROM event_places
        WHERE event_time >= toDateTime64({from:Date}, 6, 'UTC')
          AND event_time < toDateTime64({to:Date}, 6, 'UTC')
          AND key % {parts:UInt64} = {part:UInt64}
    )
    GROUP BY
        key,
        event_time,
        agent_id
    HAVING max(placed) = 0
)
GROUP BY day
ORDER BY day
LIMIT {limit:UInt64}
