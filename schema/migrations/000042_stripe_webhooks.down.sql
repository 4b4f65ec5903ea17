DROP TABLE IF EXISTS stripe_webhooks
