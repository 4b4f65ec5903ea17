-- What all the requests of one user in [from, to) cost. Sums are linear: what a correction took
-- back cancels out.
SELECT
    sum(provider_cost) AS service_cost,
    sum(billed_cost) AS agent700_cost
FROM usage_events
WHERE organization_id = {organization:UUID}
  AND user_id = {user:UUID}
  AND event_time >= {from:DateTime64(6, 'UTC')}
  AND event_time < {to:DateTime64(6, 'UTC')}
  AND service != ''
