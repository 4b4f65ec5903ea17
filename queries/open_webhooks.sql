-- Events of Stripe's that are not dealt with, the oldest first.
SELECT
    id,
    type,
    received_at,
    detail,
    body
FROM stripe_webhooks FINAL
WHERE NOT done
ORDER BY
    received_at,
    id
LIMIT {limit:UInt64}
