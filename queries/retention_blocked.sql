-- Does a billing period that Stripe did not finalize yet reach into a month of an organization?
SELECT count() > 0 AS blocked
FROM stripe_periods FINAL
WHERE organization_id = {organization:UUID}
  AND NOT finalized
  AND period_start < toDateTime({to:Date}, 'UTC')
  AND period_end > toDateTime({from:Date}, 'UTC')
