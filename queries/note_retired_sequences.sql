-- Notes which events of each node's log go with a month of some organizations.
INSERT INTO retired_sequences
SELECT
    organization_id,
    {from:Date} AS month,
    node,
    intDiv(sequence, 1000000) AS part,
    groupBitmapState(toUInt32(sequence % 1000000)) AS sequences
FROM usage_events
WHERE organization_id IN {organizations:Array(UUID)}
  AND event_time >= toDateTime64({from:Date}, 6, 'UTC')
  AND event_time < toDateTime64({to:Date}, 6, 'UTC')
  AND sequence > 0
  AND revision = 0
  AND entry = 'record'
  AND ordinal = 0
GROUP BY
    organization_id,
    node,
    part
