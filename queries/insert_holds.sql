-- A hold, or its renewal or its end.
INSERT INTO holds
(
    id,
    reason,
    until,
    version
)
