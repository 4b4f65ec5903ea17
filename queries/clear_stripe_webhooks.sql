-- Removes what Stripe sent before a moment: all rows of an event together.
ALTER TABLE stripe_webhooks
    DELETE WHERE received_at < {before:DateTime('UTC')}
