-- Was this database restored from a backup, and may Stripe be told of it again?
SELECT
    ledger,
    restored_at,
    reports_at
FROM restores FINAL
ORDER BY restored_at
