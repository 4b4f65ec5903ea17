-- How many measurements an organization has in each UTC hour that touches [from, to), more or less:
-- what was taken back is not counted, and one user's are not told apart.
SELECT
    hour,
    sum(measurements) AS measured
FROM billable_hourly
WHERE organization_id = {organization:UUID}
  AND hour >= {from:DateTime('UTC')}
  AND hour < {to:DateTime('UTC')}
GROUP BY hour
ORDER BY hour
