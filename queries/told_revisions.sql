-- Revisions of slots since an hour, and not of before the organization's stripe.since, that Stripe
-- has not refused: what may be told again to another account.
SELECT
    organization_id,
    toString(i.meter) AS event_name,
    window_start,
    revision
FROM report_intents AS i
LEFT ANY JOIN
(
    SELECT
        id,
        stripe_since
    FROM organizations FINAL
) AS o ON o.id = i.organization_id
WHERE window_start >= {from:DateTime('UTC')}
  AND window_start >= stripe_since
  AND (organization_id, toString(i.meter), window_start, revision) NOT IN
  (
      SELECT
          organization_id,
          toString(report_outcomes.meter) AS refused_meter,
          window_start,
          revision
      FROM report_outcomes
      WHERE window_start >= {from:DateTime('UTC')}
        AND verdict = 'refused'
  )
ORDER BY
    organization_id,
    event_name,
    window_start,
    revision
