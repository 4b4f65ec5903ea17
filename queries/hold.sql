-- What time is it by the database's clock, and which hold is active? Of several it is the oldest,
-- which its id, a UUIDv7, tells, so that all nodes keep the same one. Without any, the zero id.
SELECT
    now64(6, 'UTC') AS now,
    argMin(id, UUIDToNum(id)) AS hold,
    toDateTime64(argMin(until, UUIDToNum(id)), 6, 'UTC') AS hold_until
FROM holds FINAL
WHERE until > now64(6, 'UTC')
