-- Which organizations used anything in the hours [from, to)?
SELECT DISTINCT organization_id
FROM billable_hourly
WHERE hour >= {from:DateTime('UTC')}
  AND hour < {to:DateTime('UTC')}
ORDER BY organization_id
