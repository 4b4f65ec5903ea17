DROP TABLE IF EXISTS stripe_periods
