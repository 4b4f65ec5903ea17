-- An event of Stripe's, as it came or as it was dealt with. What is dealt with stays so.
INSERT INTO stripe_webhooks
(
    id,
    type,
    received_at,
    done,
    done_at,
    detail,
    body
)
