DROP TABLE IF EXISTS stripe_comparisons
