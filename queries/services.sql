-- Every external service.
SELECT
    name
FROM services FINAL
WHERE NOT retired
ORDER BY name
