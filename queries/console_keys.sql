-- The keys of the console's sessions, the oldest first.
SELECT
    id,
    secret,
    created_at
FROM console_keys
ORDER BY
    created_at,
    id
