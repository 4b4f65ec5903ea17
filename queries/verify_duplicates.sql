-- Which rows of the ledger in [from, to) are there more than once?
SELECT
    organization_id,
    event_id,
    revision,
    toInt8(entry) AS entry,
    ordinal,
    count() AS copies
FROM usage_events
WHERE event_time >= {from:DateTime64(6, 'UTC')}
  AND event_time < {to:DateTime64(6, 'UTC')}
GROUP BY
    organization_id,
    event_id,
    revision,
    entry,
    ordinal
HAVING copies > 1
ORDER BY
    organization_id,
    event_id,
    revision,
    entry,
    ordinal
LIMIT {limit:UInt64}
