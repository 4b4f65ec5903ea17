-- The account of Stripe's that this database is reported to from now on.
INSERT INTO stripe_accounts
(
    number,
    live,
    account,
    at,
    writer
)
