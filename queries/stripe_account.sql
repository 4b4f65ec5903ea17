-- Which account of Stripe's is this database reported to, since when? The newest. Of one number, as
-- it is once replicas have met, the first.
SELECT
    number,
    live,
    account,
    at,
    writer
FROM stripe_accounts
ORDER BY
    number DESC,
    at,
    writer
LIMIT 1
