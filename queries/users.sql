-- Every user.
SELECT
    id,
    name,
    email
FROM users FINAL
WHERE NOT retired
ORDER BY id
