-- A key of the console's sessions.
INSERT INTO console_keys
(
    id,
    secret,
    created_at
)
