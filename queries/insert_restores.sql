-- That the database was restored, or that Stripe may be told of it again.
INSERT INTO restores
(
    ledger,
    restored_at,
    reports_at,
    version
)
