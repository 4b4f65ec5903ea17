DROP TABLE IF EXISTS stripe_accounts
