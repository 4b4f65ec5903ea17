-- Every user.
SELECT
    id,
    name
FROM users FINAL
WHERE NOT retired
ORDER BY id
